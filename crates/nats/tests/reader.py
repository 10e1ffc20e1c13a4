"""Prints the records of a stream, as a client that knows nothing of alq reads them.

usage: reader.py URLS STREAM SUBJECT runs|records

Fails if a length that a message states is not the length of what came before.
"""

import asyncio
import sys

import nats
from nats.errors import Error
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy


async def until_answered(ask):
    """Servers that were just started may not answer yet."""
    while True:
        try:
            return await ask()
        except Error as error:
            print(f"reader.py: waiting: {error!r}", file=sys.stderr)
            await asyncio.sleep(0.1)


async def messages_of(context, stream, subject):
    """Yields each message once. After any failure a new consumer begins at the next one."""
    state = (await until_answered(lambda: context.stream_info(stream))).state
    next_one = state.first_seq
    assert state.messages == state.last_seq - next_one + 1, f"removed messages: {state}"
    consumer = None
    while next_one <= state.last_seq:
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=next_one,
        )
        try:
            consumer = consumer or await context.pull_subscribe(
                subject, stream=stream, config=config
            )
            messages = await consumer.fetch(min(state.last_seq - next_one + 1, 1000), timeout=3)
        except Error as error:
            print(f"reader.py: again from {next_one}: {error!r}", file=sys.stderr)
            consumer = None
            continue
        for message in messages:
            if message.metadata.sequence.stream != next_one:
                consumer = None  # one was lost on the way to here
                break
            yield message
            next_one += 1


async def main(urls, stream, subject, packing):
    client = await nats.connect(urls.split(","), max_reconnect_attempts=-1)
    end = 0
    async for message in messages_of(client.jetstream(timeout=3), stream, subject):
        headers = message.headers or {}
        record = message.data
        if packing == "records" and "Alq-More" not in headers:
            record += b"\n"
        end += len(record)
        assert int(headers.get("Alq-End", end)) == end, f"{message.metadata.sequence}: {headers}"
        sys.stdout.buffer.write(record)
    sys.stdout.buffer.flush()
    await client.close()


asyncio.run(main(*sys.argv[1:]))
