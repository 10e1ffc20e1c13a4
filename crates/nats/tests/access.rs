//! Who may connect: passwords, tokens, nkeys, credentials, certificates; and what is said to others.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::Cluster;
use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// Runs `alq-nats append` for one line. `who` goes before the host.
fn append(cluster: &Cluster, folder: &Path, who: &str, more: &[&str]) -> Output {
    append_to(
        cluster,
        folder,
        who,
        &[&["--subject", "access.app"], more].concat(),
    )
}

/// The same; `more` has the subject, too.
fn append_to(cluster: &Cluster, folder: &Path, who: &str, more: &[&str]) -> Output {
    let scheme = if more.contains(&"--ca") {
        "tls"
    } else {
        "nats"
    };
    let url = cluster
        .urls()
        .replace("nats://", &format!("{scheme}://{who}"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_alq-nats"))
        .args([
            "append", "--nats", &url, "--stream", "access", "--create", "1",
        ])
        .args(["--capacity", "1M", "--ring"])
        .arg(folder.join("ring"))
        .args(more)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"a line\n");
    child.wait_with_output().unwrap()
}

#[track_caller]
fn accepted(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// Checks that the program ended with one line that has all `parts`, and no secret.
#[track_caller]
fn refused(output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
    assert!(!said.contains("s3cret"), "{said}");
}

fn put(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn users_have_passwords_or_nkeys_and_permissions() {
    let key = KeyPair::new_user();
    let settings = format!(
        r#"authorization {{ users: [
            {{ user: app, password: "s3cret@/" }}
            {{ nkey: {} }}
            {{ user: narrow, password: s3cret, permissions: {{ publish: ["access.app"] }} }}
        ] }}"#,
        key.public_key()
    );
    let Some(cluster) = common::cluster_with(1, &settings) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (ring, other) = (folder.path(), tempfile::tempdir().unwrap());
    accepted(&append(&cluster, ring, "app:s3cret%40%2F@", &[]));
    let seed = put(ring, "seed", &(key.seed().unwrap() + "\n"));
    accepted(&append(&cluster, ring, "", &["--nkey", &seed]));

    let other = other.path(); // without a ring file, the program does not start without servers
    let parts = ["authorization violation", "refuse the user, password"];
    refused(&append(&cluster, other, "app:wrong_s3cret@", &[]), &parts);
    refused(&append(&cluster, other, "", &[]), &parts);
    let stranger = put(other, "seed", &KeyPair::new_user().seed().unwrap());
    refused(&append(&cluster, other, "", &["--nkey", &stranger]), &parts);
    let none = put(other, "none", "no seed");
    let parts = ["the seed of the nkey", "cannot be read"];
    refused(&append(&cluster, other, "", &["--nkey", &none]), &parts);
    let parts = ["Permissions Violation", "$JS.API", "allow the user"];
    refused(&append(&cluster, other, "narrow:s3cret@", &[]), &parts);
    let parts = ["does not have the subject", "add the subject to the stream"];
    let subject = ["--subject", "else"];
    refused(
        &append_to(&cluster, other, "app:s3cret%40%2F@", &subject),
        &parts,
    );
}

#[test]
fn a_token_is_part_of_the_address() {
    let Some(cluster) = common::cluster_with(1, "authorization { token: s3cret }") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let parts = ["authorization violation"];
    refused(&append(&cluster, folder.path(), "s3cret_not@", &[]), &parts);
    accepted(&append(&cluster, folder.path(), "s3cret@", &[]));
}

/// Makes a JWT of NATS: `signer` says about `subject` what `claims` has.
fn jwt(signer: &KeyPair, subject: &KeyPair, claims: &Value) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let body = json!({
        "jti": "test", "iat": 1_700_000_000, "name": "test",
        "iss": signer.public_key(), "sub": subject.public_key(), "nats": claims,
    });
    let text = format!("{}.{}", encode(&head), encode(&body));
    let signature = signer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

#[test]
fn a_file_with_credentials_is_read() {
    let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
    let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
    let kind = |kind: &str| json!({ "type": kind, "version": 2 });
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1,
        "consumer": -1,
    });
    let of_account = json!({ "type": "account", "version": 2, "limits": limits });
    let of_user = json!({
        "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {},
    });
    let settings = format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\n\
         resolver_preload: {{ {}: {}, {}: {} }}",
        jwt(&operator, &operator, &kind("operator")),
        system.public_key(),
        system.public_key(),
        jwt(&operator, &system, &kind("account")),
        account.public_key(),
        jwt(&operator, &account, &of_account),
    );
    let Some(cluster) = common::cluster_with(1, &settings) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let creds = |name: &str, signer: &KeyPair| {
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            jwt(signer, &user, &of_user),
            user.seed().unwrap()
        );
        put(folder, name, &text)
    };
    let forged = creds("forged", &KeyPair::new_account());
    let parts = ["authorization violation", "credentials"];
    refused(&append(&cluster, folder, "", &["--creds", &forged]), &parts);
    let none = put(folder, "none", "nothing");
    refused(&append(&cluster, folder, "", &["--creds", &none]), &[&none]);
    let absent = ["--creds", "/nowhere/creds"];
    refused(
        &append(&cluster, folder, "", &absent),
        &["/nowhere/creds", "No such file"],
    );
    let own = creds("own", &account);
    accepted(&append(&cluster, folder, "", &["--creds", &own]));
}

/// Makes an authority and, signed by it, a certificate: `NAME-ca.pem`, `NAME.pem`, `NAME.key`.
/// Returns false if openssl is not installed.
fn certify(folder: &Path, name: &str) -> bool {
    let script = r#"
        new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch"
        openssl req -x509 $new -days 9 -subj "/CN=$0" -keyout "$0-ca.key" -out "$0-ca.pem" &&
        openssl req $new -subj /CN=127.0.0.1 -keyout "$0.key" -out "$0.csr" &&
        echo subjectAltName=IP:127.0.0.1 >"$0.ext" &&
        openssl x509 -req -in "$0.csr" -CA "$0-ca.pem" -CAkey "$0-ca.key" -CAcreateserial \
            -days 9 -extfile "$0.ext" -out "$0.pem""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, name]).current_dir(folder);
    let output = command.output().unwrap();
    let is_missing = output.status.code() == Some(127);
    assert!(is_missing || output.status.success(), "{output:?}");
    !is_missing
}

#[test]
fn certificates_are_checked_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    if !certify(folder, "own") {
        eprintln!("skipped: openssl is not installed");
        return;
    }
    certify(folder, "other");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let settings = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
        file("own.pem"),
        file("own.key"),
        file("own-ca.pem")
    );
    let Some(cluster) = common::cluster_with(1, &settings) else {
        return;
    };
    let run = |ca: &str, cert: &[&str]| {
        let named: Vec<_> = cert.iter().map(|name| file(name)).collect();
        let mut more = vec!["--ca".to_owned(), file(ca)];
        if let [cert, key] = &named[..] {
            more.extend(["--cert".into(), cert.clone(), "--key".into(), key.clone()]);
        }
        let more: Vec<_> = more.iter().map(String::as_str).collect();
        append(&cluster, folder, "", &more)
    };
    let own = ["own.pem", "own.key"];
    let parts = ["invalid peer certificate", "certificate of the authority"];
    refused(&run("other-ca.pem", &own), &parts);
    let parts = ["fatal alert", "refuse the certificate of this client"];
    let other = ["other.pem", "other.key"];
    refused(&run("own-ca.pem", &other), &parts);
    refused(&run("own-ca.pem", &[]), &parts);
    refused(&run("absent.pem", &own), &["absent.pem", "No such file"]);
    accepted(&run("own-ca.pem", &own));
}
