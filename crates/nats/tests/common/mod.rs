//! Servers of NATS on loopback, as a cluster, for the tests and benchmarks of this folder.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod link;
pub mod reader;
pub mod writing;

use std::env;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use link::Link;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// For hangs only: no test depends on speed.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// Returns the program of the server: `ALQ_NATS_SERVER`, or the one in PATH.
pub fn server() -> Option<PathBuf> {
    if let Some(named) = env::var_os("ALQ_NATS_SERVER") {
        return Some(named.into());
    }
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths)
        .map(|folder| folder.join("nats-server"))
        .find(|program| program.is_file())
}

/// Starts a cluster, or says that the test is skipped.
pub fn cluster(count: usize) -> Option<Cluster> {
    cluster_with(count, "")
}

/// Starts a cluster whose servers have more settings, or says that the test is skipped.
pub fn cluster_with(count: usize, settings: &str) -> Option<Cluster> {
    Some(Cluster::start(program()?, count, settings, false))
}

fn program() -> Option<PathBuf> {
    let program = server();
    if program.is_none() {
        eprintln!("skipped: no nats-server in PATH or ALQ_NATS_SERVER (ci/nats.sh installs one)");
    }
    program
}

/// Starts a cluster whose servers reach each other through links only, or says that the test is
/// skipped.
pub fn cluster_of_links(count: usize) -> Option<Cluster> {
    Some(Cluster::start(program()?, count, "", true))
}

/// Servers with JetStream. They are killed when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    program: PathBuf,
    folder: TempDir,
    nodes: Vec<Node>,
    /// More settings of each server.
    settings: String,
    /// From each server to each other one, if they are connected by links.
    links: Vec<(usize, usize, Link, String)>,
}

#[derive(Debug)]
struct Node {
    port: u16,
    route: u16,
    child: Option<Child>,
}

impl Cluster {
    fn start(program: PathBuf, count: usize, settings: &str, has_links: bool) -> Self {
        // All ports are taken at the same time, so that they differ.
        let ports: Vec<_> = (0..2 * count)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports: Vec<u16> = ports
            .iter()
            .map(|port| port.local_addr().unwrap().port())
            .collect();
        let nodes = ports.chunks(2).map(|ports| Node {
            port: ports[0],
            route: ports[1],
            child: None,
        });
        let mut cluster = Self {
            program,
            folder: tempfile::tempdir().unwrap(),
            nodes: nodes.collect(),
            settings: settings.to_owned(),
            links: Vec::new(),
        };
        for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
            if has_links && from != to {
                let route = format!("127.0.0.1:{}", cluster.nodes[to].route);
                let (link, url) = Link::start(&route);
                cluster.links.push((from, to, link, url));
            }
        }
        for at in 0..count {
            cluster.configure(at);
            cluster.start_node(at);
        }
        cluster
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The addresses of the servers, as a client gets them.
    pub fn urls(&self) -> String {
        let urls = (0..self.len()).map(|at| self.url(at));
        urls.collect::<Vec<_>>().join(",")
    }

    /// The address of one server.
    pub fn url(&self, at: usize) -> String {
        format!("nats://127.0.0.1:{}", self.nodes[at].port)
    }

    fn configure(&self, at: usize) {
        let Node { port, route, .. } = self.nodes[at];
        let folder = self.folder.path().join(format!("n{at}"));
        let others = (0..self.nodes.len()).filter(|to| *to != at);
        let routes: Vec<_> = others.map(|to| self.route(at, to)).collect();
        let routes = routes.join(", ");
        let cluster = match self.nodes.len() {
            1 => String::new(),
            // The servers tell each other the advertised address. With links it leads nowhere.
            _ if self.links.is_empty() => {
                format!(
                    "cluster {{ name: alq, listen: \"127.0.0.1:{route}\", routes: [{routes}] }}\n"
                )
            }
            _ => format!(
                "cluster {{ name: alq, listen: \"127.0.0.1:{route}\", routes: [{routes}], \
                 advertise: \"127.0.0.1:9\" }}\n"
            ),
        };
        let config = format!(
            "server_name: n{at}\nlisten: \"127.0.0.1:{port}\"\n{cluster}\
             jetstream {{ store_dir: \"{}\", sync_interval: always }}\n{}\n",
            folder.display(),
            self.settings
        );
        fs::write(self.config(at), config).unwrap();
    }

    /// The address at which the server `from` reaches the server `to`.
    fn route(&self, from: usize, to: usize) -> String {
        let mut links = self.links.iter();
        match links.find(|link| (link.0, link.1) == (from, to)) {
            Some((_, _, _, url)) => url.clone(),
            None => format!("nats://127.0.0.1:{}", self.nodes[to].route),
        }
    }

    /// The links between this server and the others.
    pub fn links_of(&self, at: usize) -> impl Iterator<Item = &Link> {
        let links = self.links.iter();
        let links = links.filter(move |(from, to, _, _)| *from == at || *to == at);
        links.map(|(_, _, link, _)| link)
    }

    fn config(&self, at: usize) -> PathBuf {
        self.folder.path().join(format!("n{at}.conf"))
    }

    /// Starts a node, if it does not run.
    pub fn start_node(&mut self, at: usize) {
        if self.nodes[at].child.is_some() {
            return;
        }
        let log = self.folder.path().join(format!("n{at}.log"));
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(self.config(at))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.nodes[at].child = Some(child);
    }

    /// Kills a node, if it runs.
    pub fn kill_node(&mut self, at: usize) {
        if let Some(mut child) = self.nodes[at].child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends a signal to a node, if it runs.
    pub fn signal_node(&self, at: usize, signal: Signal) {
        if let Some(child) = &self.nodes[at].child {
            signal_child(child, signal).unwrap();
        }
    }

    /// The processor time that all nodes have used, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let children = self.nodes.iter().filter_map(|node| node.child.as_ref());
        children.map(|child| cpu_seconds_of(child.id())).sum()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for at in 0..self.nodes.len() {
            self.kill_node(at);
        }
    }
}

pub fn signal_child(child: &Child, signal: Signal) -> io::Result<()> {
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    Ok(kill_process(pid, signal)?)
}

/// The processor time that a process has used, in seconds, from /proc.
pub fn cpu_seconds_of(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

/// Looks until there is an answer.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begun.elapsed() < DEADLINE,
            "no end after {DEADLINE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
