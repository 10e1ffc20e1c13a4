//! The settings of a stream: those with which it is created, and those that cannot hold a log.

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

/// The least [`max_bytes`](Config::max_bytes) of a stream that discards old messages: the last
/// write must stay.
const LEAST_BYTES: i64 = 16 << 20;

/// Returns the settings with which the sink creates a stream.
pub fn of_new(stream: &str, subject: &str, replicas: usize) -> Config {
    Config {
        name: stream.to_owned(),
        subjects: vec![subject.to_owned()],
        num_replicas: replicas,
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        allow_direct: true,
        allow_atomic_publish: true,
        ..Config::default()
    }
}

/// Returns whether the stream has no other subject.
fn is_alone(config: &Config, subject: &str) -> bool {
    config.subjects == [subject] && config.sources.as_ref().is_none_or(Vec::is_empty)
}

/// Checks that a stream with these settings keeps the records of `subject`, and the last message.
///
/// # Errors
///
/// The setting that does not, and what to change.
pub fn check(config: &Config, subject: &str) -> Result<(), String> {
    let is_ours = |pattern: &String| matches(pattern, subject);
    let is_bounded = config.max_bytes > 0 || config.max_messages > 0;
    let problem = if config.mirror.is_some() {
        "it is a mirror, which accepts no messages: name the stream that it copies"
    } else if !config.subjects.iter().any(is_ours) {
        return Err(format!(
            "it does not have the subject {subject}, but {}: add the subject to the stream, or \
             use one of these",
            config.subjects.join(", ")
        ));
    } else if config.sealed {
        "it is sealed, so it accepts no messages: use another stream"
    } else if config.no_ack {
        "it acknowledges nothing (no_ack), so nobody knows what it holds: set no_ack to false"
    } else if config.retention != RetentionPolicy::Limits {
        "it removes messages once they are consumed (retention), and with them the place where \
         the log ends: set the retention to limits, in a new stream"
    } else if !config.max_age.is_zero() {
        "it removes messages by their age (max_age), also the last one, so the place where the \
         log ends would be lost: set max_age to 0, and limit the stream with max_bytes"
    } else if config.subject_transform.is_some() {
        "it renames subjects (subject_transform), so the last message of the subject cannot be \
         found: remove the transform"
    } else if config.persist_mode == Some(PersistenceMode::Async) {
        "it acknowledges messages before it stores them (persist_mode async): set it to default, \
         in a new stream"
    } else if config.discard == DiscardPolicy::Old && is_bounded && !is_alone(config, subject) {
        "it discards old messages (discard old), and other subjects could push out the last \
         message of this one: set discard to new, or give the log a stream of its own"
    } else if config.discard == DiscardPolicy::Old && (1..LEAST_BYTES).contains(&config.max_bytes) {
        "it keeps so few bytes (max_bytes) that a write could push out itself: set max_bytes to \
         16 MiB or more"
    } else {
        return Ok(());
    };
    Err(problem.to_owned())
}

/// Returns what a user should know about a stream that passes [`check`].
pub fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |warning: &str| warnings.push(format!("stream {}: {warning}", config.name));
    if config.num_replicas < 2 {
        warn("it has 1 replica: if that server's disk is lost, so are the records");
    }
    if config.storage == StorageType::Memory {
        warn("it is in memory: the records are lost if the servers stop at the same time");
    }
    warnings
}

/// Returns whether `subject` matches `pattern`, which may have the wildcards `*` and `>`.
fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for part in pattern.split('.') {
        match (part, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(token)) if part == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn patterns_match_as_the_server_matches() {
        for (pattern, subject, expected) in [
            ("logs.app", "logs.app", true),
            ("logs.*", "logs.app", true),
            ("logs.*", "logs.app.a", false),
            ("logs.>", "logs.app.a", true),
            ("logs.>", "logs", false),
            (">", "logs", true),
            ("logs.app", "logs", false),
            ("logs", "logs.app", false),
        ] {
            assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
        }
    }

    type Change<'a> = (&'a str, &'a dyn Fn(&mut Config));

    #[test]
    fn settings_that_lose_the_end_of_the_log_are_refused_and_named() {
        let of = |change: &dyn Fn(&mut Config)| {
            let mut config = of_new("logs", "logs.app", 3);
            change(&mut config);
            check(&config, "logs.app")
        };
        assert_eq!(of(&|_| {}), Ok(()));
        let bounded = |config: &mut Config| {
            config.discard = DiscardPolicy::Old;
            config.max_bytes = LEAST_BYTES;
        };
        assert_eq!(of(&bounded), Ok(()));
        let refused: [Change<'_>; 9] = [
            ("subject logs.app", &|config| {
                config.subjects = vec!["other".into()];
            }),
            ("sealed", &|config| config.sealed = true),
            ("no_ack", &|config| config.no_ack = true),
            ("retention", &|config| {
                config.retention = RetentionPolicy::WorkQueue;
            }),
            ("retention", &|config| {
                config.retention = RetentionPolicy::Interest;
            }),
            ("max_age", &|config| config.max_age = Duration::from_secs(1)),
            ("persist_mode", &|config| {
                config.persist_mode = Some(PersistenceMode::Async);
            }),
            ("discard old", &|config| {
                bounded(config);
                config.subjects.push("logs.other".into());
            }),
            ("max_bytes", &|config| {
                bounded(config);
                config.max_bytes -= 1;
            }),
        ];
        for (named, change) in refused {
            let problem = of(change).unwrap_err();
            assert!(problem.contains(named), "{named}: {problem}");
        }
    }

    #[test]
    fn one_replica_and_memory_are_warned_of() {
        let mut config = of_new("logs", "logs.app", 3);
        assert!(warnings(&config).is_empty());
        config.num_replicas = 1;
        config.storage = StorageType::Memory;
        assert_eq!(warnings(&config).len(), 2);
    }
}
