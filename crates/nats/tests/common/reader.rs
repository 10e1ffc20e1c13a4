//! A reader of a subject, by the official client, without this crate.

use std::time::Duration;

use alq_nats::async_nats::{
    self,
    jetstream::{self, consumer::pull, stream},
};
use futures_util::StreamExt;

/// A message, as it is in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub sequence: u64,
    pub payload: Vec<u8>,
    pub end: Option<u64>,
    pub writer: Option<String>,
    pub more: bool,
    /// Whether it was published in an atomic batch.
    pub batch: bool,
}

/// Runs a future of the client on this thread.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

/// A context for requests, once a server answers.
pub async fn context(urls: &str) -> jetstream::Context {
    let servers: Vec<async_nats::ServerAddr> =
        urls.split(',').map(|url| url.parse().unwrap()).collect();
    let options = async_nats::ConnectOptions::new()
        .retry_on_initial_connect()
        .request_timeout(Some(Duration::from_secs(2)));
    jetstream::new(options.connect(servers).await.unwrap())
}

/// Creates a stream, once the servers are ready for it.
pub fn create(urls: &str, config: &stream::Config) {
    run(async {
        let context = context(urls).await;
        while let Err(error) = context.create_stream(config.clone()).await {
            eprintln!("waiting for the servers: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

/// Reads all messages of a stream.
pub fn read(urls: &str, name: &str) -> Vec<Message> {
    run(async {
        let context = context(urls).await;
        // Servers that were just started may not answer yet.
        let (count, consumer) = loop {
            match begin(&context, name).await {
                Ok(begun) => break begun,
                Err(error) => eprintln!("waiting for the servers: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let mut messages = consumer.messages().await.unwrap().take(count as usize);
        let mut read = Vec::new();
        while let Some(message) = messages.next().await {
            let message = message.unwrap();
            let headers = message.headers.clone().unwrap_or_default();
            let text = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
            read.push(Message {
                sequence: message.info().unwrap().stream_sequence,
                payload: message.payload.to_vec(),
                end: text("Alq-End").map(|end| end.parse().unwrap()),
                writer: text("Alq-Writer"),
                more: text("Alq-More").is_some(),
                batch: text("Nats-Batch-Id").is_some(),
            });
        }
        read
    })
}

/// The number of messages, and a consumer of all of them.
async fn begin(
    context: &jetstream::Context,
    name: &str,
) -> Result<(u64, jetstream::consumer::Consumer<pull::OrderedConfig>), async_nats::Error> {
    let stream = context.get_stream(name).await?;
    let count = stream.cached_info().state.messages;
    let config = pull::OrderedConfig::default();
    Ok((count, stream.create_consumer(config).await?))
}
