//! Requests to the servers: each is one attempt, and says in words why it failed.

use std::time::{Duration, Instant};

use async_nats::client::{Client, Request, RequestErrorKind};
use async_nats::connection::State;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::jetstream::{self, Context, ErrorCode, context};
use async_nats::{HeaderMap, Subject};

use crate::mark::{MORE, Mark, log_number, random};
use crate::pack::{BATCH_MAX, Piece};
use crate::session::{NO_CONNECTION, NO_QUORUM, PAUSE, Shared};
use crate::target::without_secrets;
use crate::{Error, Packing, Target, settings};

/// What the headers of a message may add to its payload, in bytes.
const HEADERS_MAX: usize = 2048;

const LAST_OF_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence";
const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";

/// A client, and the stream that it writes to.
#[derive(Debug)]
pub struct Contact {
    client: Client,
    context: Context,
    servers: String,
    stream_name: String,
    stream: Option<(Stream, Config)>,
    pub subject: String,
    pub packing: Packing,
    create: Option<usize>,
    pub take_over: bool,
    pub ack_timeout: Duration,
    /// When the client was last told to connect to another server, or for the first time.
    connected_at: Instant,
    /// The number of this log in intents.
    pub log: u64,
}

impl Contact {
    pub fn new(client: Client, target: &Target) -> Self {
        let context = context::ContextBuilder::new()
            .timeout(target.ack_timeout)
            .build(client.clone());
        Self {
            client,
            context,
            servers: without_secrets(&target.servers),
            stream_name: target.stream.clone(),
            stream: None,
            subject: target.subject.clone(),
            packing: target.packing,
            create: target.create,
            take_over: target.take_over,
            ack_timeout: target.ack_timeout,
            connected_at: Instant::now(),
            log: log_number(&target.stream, &target.subject),
        }
    }

    pub fn known_stream(&self) -> Option<Stream> {
        self.stream.as_ref().map(|(stream, _)| stream.clone())
    }

    /// Returns the most messages of one attempt, which arrive together or not at all: 1 unless the
    /// server has said that the stream accepts atomic batches. A server that does not know the
    /// setting ignores it in silence, and does not say so.
    pub fn max_messages(&self) -> usize {
        let config = self.stream.as_ref().map(|(_, config)| config);
        if config.is_some_and(|config| config.allow_atomic_publish) {
            BATCH_MAX
        } else {
            1
        }
    }

    /// Returns the most bytes of one payload.
    pub fn max_bytes(&self) -> usize {
        let server = self.client.max_payload();
        let stream = self
            .stream
            .as_ref()
            .map(|(_, config)| config.max_message_size);
        let stream = stream.and_then(|most| usize::try_from(most).ok());
        let most = stream
            .filter(|most| *most > 0)
            .unwrap_or(server)
            .min(server);
        most.saturating_sub(HEADERS_MAX).max(1)
    }

    /// Returns the stream. Asks for it, and creates it if wanted, until there is an answer, at most
    /// for `limit`.
    pub async fn stream(&mut self, limit: Duration, shared: &Shared) -> Result<&Stream, Error> {
        let deadline = Instant::now() + limit;
        while self.stream.is_none() {
            let reason = match self.look_for_stream().await {
                Ok(stream) => {
                    let config = stream.cached_info().config.clone();
                    settings::check(&config, &self.subject).map_err(|problem| Error::Settings {
                        stream: self.stream_name.clone(),
                        problem,
                    })?;
                    let warnings = settings::warnings(&config);
                    self.stream = Some((stream, config));
                    shared.with(|known| {
                        known.warnings = warnings;
                        known.max_messages = self.max_messages();
                    });
                    break;
                }
                Err(Missing::Stream) => {
                    return Err(Error::NoStream {
                        stream: self.stream_name.clone(),
                    });
                }
                Err(Missing::Refused(reason)) if Instant::now() >= deadline => {
                    return Err(Error::Refused {
                        stream: self.stream_name.clone(),
                        reason,
                    });
                }
                // Servers may still be starting.
                Err(Missing::For(reason) | Missing::Refused(reason)) => reason,
            };
            shared.note(&reason);
            if Instant::now() >= deadline {
                return Err(self.unreachable(&shared.trouble().unwrap_or(reason), limit));
            }
            self.pause(shared).await;
        }
        let (stream, _) = self.stream.as_ref().expect("it was found");
        Ok(stream)
    }

    /// Pauses before the next attempt. If there is no quorum, as far as the server of the client
    /// knows, the client connects to one of the servers again: this one may be cut off from the
    /// others, which have a leader.
    pub async fn pause(&mut self, shared: &Shared) {
        let trouble = shared.trouble();
        let has_no_quorum = trouble.is_some_and(|why| why.starts_with(NO_QUORUM));
        if has_no_quorum && self.connected_at.elapsed() >= self.ack_timeout {
            self.connected_at = Instant::now();
            // An error: the client has ended, and the next attempt says so.
            let _ = self.client.force_reconnect().await;
        }
        tokio::time::sleep(PAUSE).await;
    }

    async fn look_for_stream(&self) -> Result<Stream, Missing> {
        use context::{CreateStreamErrorKind, GetStreamErrorKind};
        let error = match self.context.get_stream(&self.stream_name).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let is_missing = matches!(error.kind(), GetStreamErrorKind::JetStream(said)
            if said.error_code() == ErrorCode::STREAM_NOT_FOUND);
        let replicas = match self.create {
            _ if !is_missing => {
                return Err(Missing::For(match error.kind() {
                    GetStreamErrorKind::JetStream(said) => refusal(&said),
                    _ => self.no_answer(&error),
                }));
            }
            None => return Err(Missing::Stream),
            Some(replicas) => replicas,
        };
        let config = settings::of_new(&self.stream_name, &self.subject, replicas);
        match self.context.create_stream(config).await {
            Ok(stream) => Ok(stream),
            Err(error) => match error.kind() {
                CreateStreamErrorKind::JetStream(said) => Err(Missing::Refused(refusal(&said))),
                _ => Err(Missing::For(self.no_answer(&error))),
            },
        }
    }

    /// Publishes one message after the message `after` of the subject. Returns its number.
    pub async fn publish(&self, piece: &Piece, after: u64, mark: &Mark) -> Result<u64, String> {
        let mut headers = headers_of(piece);
        headers.insert(LAST_OF_SUBJECT, after.to_string());
        mark.put(&mut headers);
        self.send(piece, headers).await
    }

    /// Publishes messages after the message `after` of the subject: all of them, or none. Returns
    /// the number of the last one.
    pub async fn publish_batch(
        &self,
        pieces: &[Piece],
        after: u64,
        mark: &Mark,
    ) -> Result<u64, String> {
        let id = format!("{:016x}", random());
        let (last, others) = pieces.split_last().ok_or("an empty batch")?;
        let subject = Subject::from(&*self.subject);
        for (at, piece) in others.iter().enumerate() {
            let mut headers = headers_of(piece);
            if at == 0 {
                headers.insert(LAST_OF_SUBJECT, after.to_string());
            }
            headers.insert(BATCH_ID, &*id);
            headers.insert(BATCH_SEQUENCE, (at + 1).to_string());
            let payload = piece.payload.clone();
            let sent = self
                .client
                .publish_with_headers(subject.clone(), headers, payload);
            sent.await.map_err(|error| self.no_answer(&error))?;
        }
        let mut headers = headers_of(last);
        headers.insert(BATCH_ID, &*id);
        headers.insert(BATCH_SEQUENCE, pieces.len().to_string());
        headers.insert(BATCH_COMMIT, "1");
        mark.put(&mut headers);
        self.send(last, headers).await
    }

    /// Sends a message and waits for its acknowledgement. Returns its number.
    async fn send(&self, piece: &Piece, headers: HeaderMap) -> Result<u64, String> {
        let request = Request::new()
            .payload(piece.payload.clone())
            .headers(headers)
            .timeout(Some(self.ack_timeout));
        let answer = self
            .client
            .send_request(self.subject.clone(), request)
            .await;
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => self.no_quorum(),
            _ => self.no_answer(&error),
        })?;
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(PublishAck { sequence, .. })) if sequence > 0 => Ok(sequence),
            Ok(Response::Err { error }) => Err(refusal(&error)),
            _ => Err("the server sent an answer that is no acknowledgement".to_owned()),
        }
    }

    /// Says in words why a request got no answer.
    pub fn no_answer(&self, error: &(dyn std::error::Error + 'static)) -> String {
        if self.client.connection_state() != State::Connected {
            return format!("{NO_CONNECTION} to {}", self.servers);
        }
        let mut cause = Some(error);
        while let Some(error) = cause {
            let request = error.downcast_ref::<async_nats::client::RequestError>();
            let is_silent = request.is_some_and(|error| {
                matches!(
                    error.kind(),
                    RequestErrorKind::TimedOut | RequestErrorKind::NoResponders
                )
            });
            if is_silent {
                return self.no_quorum();
            }
            cause = error.source();
        }
        error.to_string()
    }

    fn no_quorum(&self) -> String {
        let info = self.client.server_info();
        let running = info.connect_urls.len().max(1);
        let of = match &self.stream {
            Some((_, config)) => format!("{running} of {} servers", config.num_replicas),
            None => format!("servers: {running}"),
        };
        let stream = &self.stream_name;
        format!("{NO_QUORUM}: stream {stream} has no leader ({of})")
    }

    pub fn unreachable(&self, reason: &str, waited: Duration) -> Error {
        Error::Unreachable {
            servers: self.servers.clone(),
            waited,
            reason: reason.replace(&format!(" to {}", self.servers), ""),
        }
    }
}

/// Why there is no stream.
enum Missing {
    /// The question had no answer.
    For(String),
    Stream,
    Refused(String),
}

/// Says in words why a server refuses a request.
pub fn refusal(said: &jetstream::Error) -> String {
    match said.error_code() {
        ErrorCode::CLUSTER_NOT_AVAILABLE => {
            format!(
                "{NO_QUORUM}: the servers have not agreed on a leader yet (JetStream error 10008)"
            )
        }
        _ => said.to_string(),
    }
}

fn headers_of(piece: &Piece) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if piece.more {
        headers.insert(MORE, "1");
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_without_a_leader_are_a_missing_quorum() {
        let said = |text| refusal(&serde_json::from_str(text).unwrap());
        let description = "JetStream system temporarily unavailable";
        let text = format!(r#"{{"code":503,"err_code":10008,"description":"{description}"}}"#);
        assert!(said(&text).starts_with("no quorum: "), "{}", said(&text));
        let other = r#"{"code":400,"err_code":10071,"description":"wrong last sequence: 3"}"#;
        assert!(said(other).starts_with("wrong last sequence: 3"));
    }
}
