"""Prints the records of a stream, as a client that knows nothing of alq reads them.

usage: reader.py URLS STREAM SUBJECT runs|records

Fails if a length that a message states is not the length of what came before.
"""

import asyncio
import sys

import nats
from nats.errors import NoRespondersError, TimeoutError
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import ServerError, ServiceUnavailableError


async def until_answered(ask):
    """Servers that were just started may not answer yet."""
    while True:
        try:
            return await ask()
        except (TimeoutError, ServiceUnavailableError, ServerError, NoRespondersError) as error:
            print(f"reader.py: waiting: {error!r}", file=sys.stderr)
            await asyncio.sleep(0.1)


async def main(urls, stream, subject, packing):
    client = await nats.connect(urls.split(","), max_reconnect_attempts=-1)
    context = client.jetstream(timeout=3)
    info = await until_answered(lambda: context.stream_info(stream))
    left = info.state.messages
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, inactive_threshold=300)
    consumer = await until_answered(
        lambda: context.pull_subscribe(subject, stream=stream, config=config)
    )
    end = after = 0
    while left > 0:
        try:
            messages = await consumer.fetch(min(left, 1000), timeout=3)
        except TimeoutError:
            continue
        for message in messages:
            await message.ack()
            headers = message.headers or {}
            sequence = message.metadata.sequence.stream
            assert sequence > after, f"message {sequence} after {after}"
            after = sequence
            record = message.data
            if packing == "records" and "Alq-More" not in headers:
                record += b"\n"
            end += len(record)
            assert int(headers.get("Alq-End", end)) == end, f"message {sequence}: {headers}"
            sys.stdout.buffer.write(record)
        left -= len(messages)
    sys.stdout.buffer.flush()
    await client.close()


asyncio.run(main(*sys.argv[1:]))
