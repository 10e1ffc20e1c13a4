//! `alq-nats`: appends standard input to a JetStream subject, and recovers ring files.

mod append;
mod recover;

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use alq_nats::async_nats::ConnectOptions;
use alq_nats::{NatsSink, Packing, Target};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Appends standard input to a subject of NATS JetStream through a ring file: each line gets into
/// the stream once and in order, also if this program or the servers are killed.
///
/// Exit code 0: all input is stored by a quorum. 1: an error; the ring file keeps what is not
/// stored. 2: wrong usage.
#[derive(Debug, Parser)]
#[command(name = "alq-nats", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Append the lines of standard input. While no server answers, the ring file keeps them, and
    /// once it is full, the program waits
    Append(append::Options),
    /// Publish what a killed process has left in a ring file
    Recover(recover::Options),
}

/// The servers, the stream and the subject.
#[derive(Args, Debug)]
struct To {
    /// Servers, separated by commas: `nats://HOST:PORT`, `tls://HOST`, `nats://USER:PASSWORD@HOST`
    #[arg(long, value_name = "URLS", env = "NATS_URL", hide_env_values = true)]
    nats: String,
    /// Name of the stream
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Subject of the log, which belongs to this ring file alone
    #[arg(long, value_name = "SUBJECT")]
    subject: String,
    /// Create the stream if it does not exist, with this number of replicas
    #[arg(long, value_name = "REPLICAS")]
    create: Option<usize>,
    /// File with credentials (a user's JWT and seed), as `nsc` and `nats` write it
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,
    /// File with the seed of an nkey, which begins with SU
    #[arg(long, value_name = "FILE", conflicts_with = "creds")]
    nkey: Option<PathBuf>,
    /// File with the certificate of the authority that signed those of the servers
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File with the certificate of this client, for servers that ask for one
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// File with the private key of that certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// One message for each line, or for each write of many lines
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Lines)]
    messages: Form,
    /// Continue a subject that another ring file has written to; its writer is refused from then on
    #[arg(long)]
    take_over: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Each line, without its newline
    Lines,
    /// Many lines, with their newlines: the least work for the servers
    Runs,
}

/// The most bytes of a message with many lines: half of what servers accept by default.
const RUN_MAX: usize = 512 << 10;

/// A change to the options of the client.
type Access = Box<dyn FnOnce(ConnectOptions) -> ConnectOptions + Send>;

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| shown(path, &error))
}

fn shown(path: &Path, error: &dyn Display) -> String {
    format!("{}: {error}", path.display())
}

impl To {
    /// Connects. With `offline`, also if no server answers.
    fn connect(&self, offline: bool) -> Result<Arc<NatsSink>, String> {
        let packing = match self.messages {
            Form::Lines => Packing::Records,
            Form::Runs => Packing::Run { max_bytes: RUN_MAX },
        };
        let mut target = Target::new(&self.nats)
            .stream(&self.stream)
            .subject(&self.subject)
            .packing(packing)
            .take_over(self.take_over)
            .offline(offline);
        if let Some(replicas) = self.create {
            target = target.create(replicas);
        }
        let access = self.access()?;
        target =
            target.options(move |options| access.into_iter().fold(options, |all, one| one(all)));
        NatsSink::connect(target)
            .map(Arc::new)
            .map_err(|error| error.to_string())
    }

    /// Reads the files with credentials and certificates, so that a mistake is reported now.
    fn access(&self) -> Result<Vec<Access>, String> {
        let mut access: Vec<Access> = Vec::new();
        if let Some(path) = &self.creds {
            let text = read(path)?;
            ConnectOptions::with_credentials(&text).map_err(|error| shown(path, &error))?;
            access.push(Box::new(move |options| match options.credentials(&text) {
                Ok(options) => options,
                Err(_) => unreachable!("these credentials were read before"),
            }));
        }
        if let Some(path) = &self.nkey {
            let seed = read(path)?.trim().to_owned();
            access.push(Box::new(|options| options.nkey(seed)));
        }
        if let Some(path) = self.ca.clone() {
            read(&path)?;
            access.push(Box::new(|options| options.add_root_certificates(path)));
        }
        if let (Some(cert), Some(key)) = (self.cert.clone(), self.key.clone()) {
            read(&cert)?;
            read(&key)?;
            access.push(Box::new(|options| {
                options.add_client_certificate(cert, key)
            }));
        }
        Ok(access)
    }

    /// The place, for messages.
    fn place(&self) -> String {
        format!("{}/{}", self.stream, self.subject)
    }
}

/// Names the options of this program where an error of the library names its methods.
fn with_options(message: &str) -> String {
    message
        .replace("Target::take_over", "--take-over")
        .replace("Target::create", "--create REPLICAS")
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Append(options) => append::run(&options),
        Command::Recover(options) => recover::run(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("alq-nats: {}", with_options(&message));
            ExitCode::FAILURE
        }
    }
}
