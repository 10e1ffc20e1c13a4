#!/usr/bin/env bash
# Each mutant is the code with one deliberate fault: a weaker ordering, or a fence or a second check
# left out. A model must find it. This script fails if a mutant survives, or if a mutant has no
# model here. docs/ordering.md describes each of them.
set -euo pipefail
cd "$(dirname "$0")/../loom-tests"
unset LOOM_MAX_DURATION LOOM_MAX_PERMUTATIONS LOOM_MAX_PREEMPTIONS LOOM_MAX_BRANCHES ALQ_MUTANT

# Each line: the mutant, and the model that must find it. The names after a `+` are fences that are
# left out as well. With membarrier(2) these are only compiler fences, but in the models they would
# provide the ordering that the mutant weakens. Without the mutant, the model must pass without
# these fences. A mutant that no loom model can find has a twin in proof/genmc instead.
found_by='
alarm.set                        group_sync::a_byte_that_is_due_by_policy_wakes_the_sync_thread
aside.sink                       proof/genmc/aside.c
aside.switch                     proof/genmc/aside.c
bell.ring                        wake_flusher::two_posts_wake_the_flusher
bell.taken                       wake_flusher::two_posts_wake_the_flusher
block.begin                      seal::a_lane_that_goes_away_is_counted_once
block.busy                       seal::a_late_owner_against_the_next_owner_of_its_bytes
block.busy:ignored               seal::a_late_owner_against_the_next_owner_of_its_bytes
block.drop+lane.begin+lane.gate  seal::a_lane_that_goes_away_is_counted_once
block.drop:early                 seal::a_lane_that_is_dropped_with_an_open_span_is_sealed
block.idle                       seal::a_late_owner_against_the_next_owner_of_its_bytes
block.is_dropped                 seal::a_lane_that_goes_away_is_counted_once
block.open                       seal::a_late_owner_against_a_reused_slot
block.records                    proof/genmc/count.c
block.set_open                   seal::a_late_owner_against_a_reused_slot
claim.again                      short_post::a_claim_in_progress_takes_bytes_given_back
claim.again:skip                 full::nothing_is_refused_for_a_stale_head_or_tail
claim.head                       short_post::given_back_bytes_change_hands
claim.retry                      short_post::a_claim_in_progress_takes_bytes_given_back
claim.take                       full::a_fixed_ring_never_seems_to_hold_more_than_its_entries
discard.begin                    reopen::a_record_that_is_discarded_never_counts_as_written
drain.state                      publish::two_producers_and_a_drain
durable.data                     group_sync::bytes_of_a_failed_sync_are_never_durable
durable.full                     group_sync::bytes_of_a_failed_sync_are_never_durable
durable.raise_data               group_sync::a_durable_position_is_visible_only_after_its_sync_returned
durable.raise_full               group_sync::a_durable_position_is_visible_only_after_its_sync_returned
end.jump                         close::close_against_a_writer
event.notify                     event::a_waiter_is_seen_or_sees
event.wait                       event::a_waiter_is_seen_or_sees
failure.publish+lanes.gate+lanes.asked  failure::a_thread_that_sees_the_failure_is_refused
failure.seen                    failure::a_thread_that_sees_the_failure_is_refused
fence.heavy                      wake_flusher::a_post_wakes_the_flusher
fence.light                      wake_flusher::a_post_wakes_the_flusher
finish.again                     close::close_against_a_writer
finish.has                       close::the_end_is_visible_only_after_the_sink_is_closed
finish.set                       close::the_end_is_visible_only_after_the_sink_is_closed
fork.begin                       proof/genmc/fork.c
gap.note                         proof/genmc/ends.c
gap.take                         proof/genmc/ends.c
gate.aside                       proof/genmc/ends.c
gate.fail                        failure::a_failed_queue_says_why
gate.is_aside                    proof/genmc/ends.c
gate.look                        failure::a_failed_queue_says_why
gate.refusal                     failure::a_failure_wakes_a_waiting_writer_with_its_cause
give_back.take                   short_post::given_back_bytes_change_hands
head.load                        full::a_fixed_ring_never_seems_to_hold_more_than_its_entries
home.leave                       proof/genmc/made.c
home.other                       proof/genmc/made.c
home.page                        proof/genmc/made.c
home.word                        proof/genmc/made.c
journal.copied                   proof/genmc/journal.c
journal.freed                    proof/genmc/journal.c
journal.load                     proof/genmc/journal.c
journal.oldest                   proof/genmc/journal.c
journal.store                    proof/genmc/journal.c
journal.tail                     proof/genmc/journal.c
lane.begin                       seal::a_late_owner_against_the_next_owner_of_its_bytes
lane.commit                      seal::seal_against_claim
lane.gate                        failure::a_lane_that_opens_a_span_as_the_queue_fails
lane.leave                       seal::a_late_owner_against_a_reused_slot
lane.opened                      seal::seal_against_claim
lane.opened:early                seal::seal_against_claim
lane.seal+lane.begin             seal::a_span_that_its_owner_leaves_is_sealed_once
lanes.asked                      seal::a_drain_that_finds_a_span_asked_for_already
lanes.gate                       failure::a_lane_that_opens_a_span_as_the_queue_fails
ledger.again                     publish::accounts_belong_together
ledger.even                      publish::accounts_belong_together
ledger.odd                       publish::accounts_belong_together
ledger.version                   publish::accounts_belong_together
line.bell                        wake_writer::a_writer_that_leaves_the_line_makes_the_flusher_look_again
line.join                        wake_writer::a_drain_wakes_the_writer
line.look                        wake_writer::a_drain_wakes_the_writer
line.next                        ordered::ordered_writers
line.notify                      wake_writer::a_drain_wakes_the_writer
line.wake+line.notify            wake_writer::a_wake_up_carries_the_room
lock.again                       proof/genmc/fork.c
lock.kept                        proof/genmc/fork.c
oldest.again                     recorder::nothing_is_refused_for_a_span_that_was_overwritten
oldest.look                      recorder::overwritten_bytes_change_hands
oldest.release                   recorder::a_copy_against_a_producer
oldest.state                     recorder::overwritten_bytes_change_hands
oldest.take                      recorder::overwritten_bytes_change_hands
oldest.taken                     recorder::a_copy_against_a_producer
once.get                         proof/genmc/made.c
once.other                       proof/genmc/made.c
once.set                         proof/genmc/made.c
park.fence                       wake_flusher::a_post_wakes_the_flusher
park.look                        wake_flusher::a_post_wakes_the_flusher
post.fence                       wake_flusher::a_post_wakes_the_flusher
post.state                       publish::two_producers_and_a_drain
process.existing                 proof/genmc/made.c
process.get                      proof/genmc/made.c
quiet.ahead                      quiet::a_post_activates_the_quiet_record_before_it
quiet.awaited                    quiet::a_writer_gets_the_room_of_quiet_records
quiet.noted                      quiet::a_post_activates_what_follows_an_open_reservation
recover.hole                     proof/genmc/journal.c
reopen.has_met                   reopen::a_reopen_resolves_only_after_the_old_sink_is_dropped
reopen.met                       reopen::a_reopen_resolves_only_after_the_old_sink_is_dropped
room.again                       lanes::a_writer_gets_the_room_that_a_lane_has_just_taken
room.want+lane.gate              seal::the_drain_seals_a_new_span_when_room_is_wanted
room.wanted                      seal::the_drain_seals_a_new_span_when_room_is_wanted
seal.ask                         seal::a_late_owner_against_the_next_owner_of_its_bytes
seen.pos                         wrap::two_producers_claim_while_the_drain_frees_room
seen.seq                         full::a_fixed_ring_never_seems_to_hold_more_than_its_entries
survey.late                      dropped::a_post_that_comes_too_late_is_counted
survey.look                      flush::a_flush_target_includes_the_own_record_while_the_next_is_half_visible
tail.pos                         wrap::wrap_onto_the_second_lap
tail.publish                     full::a_fixed_ring_never_seems_to_hold_more_than_its_entries
tail.seq                         full::a_fixed_ring_never_seems_to_hold_more_than_its_entries
views.at                         proof/genmc/fork.c
views.child_at                   proof/genmc/fork.c
views.child_list                 proof/genmc/fork.c
views.free                       proof/genmc/fork.c
views.list                       proof/genmc/fork.c
views.push                       proof/genmc/fork.c
views.take                       proof/genmc/fork.c
watch.fence                      completion::one_advance_resolves_two_concurrent_waits
watch.written                    group_sync::a_wait_that_comes_as_its_bytes_are_written_gets_its_sync
'
listed=$(awk 'NF { sub(/\+.*/, "", $1); print $1 }' <<<"$found_by" | sort)
built_in=$(grep -rzoE '(is|unless|or)_mutant\(\s*"[^"]+"|_at\("[^"]+"|acq_rel\("[^"]+", "[^"]+"' ../src |
    grep -aoE '"[^"]+"' | tr -d '"' | sort -u)
if [ "$listed" != "$built_in" ]; then
    echo 'the mutants in src/ and the mutants in this list differ:' >&2
    diff <(echo "$built_in") <(echo "$listed") >&2 || true
    exit 1
fi

models=$(cargo test --release --locked --no-run --test models 2>&1 | sed -n 's/.*(\(.*\/models-[0-9a-f]*\)).*/\1/p')
[ -x "$models" ] || { echo 'the models do not compile: run ci/loom.sh' >&2; exit 1; }
export models

# $1: the mutants to use; $2: the model; $3: a file for its output.
run() { # in a shell, which prints `Aborted` to the file when a deadlock aborts the process
    ALQ_MUTANT=$1 bash -c '"$@" || exit' _ timeout 600 "$models" --exact "$2" >"$3" 2>&1
}
# $1: the mutant with its fences; $2: the model that must find it.
check() {
    local said=$work/$1
    if [[ $2 = proof/* ]]; then
        echo "$1: left to $2 (ci/proof.sh)"
        return
    fi
    if [[ $1 = *+* ]] && ! run "${1#*+}" "$2" "$said"; then
        echo "$1: $2 fails with its fences left out but without the mutant" >&2
        return 1
    fi
    if run "$1" "$2" "$said"; then
        echo "$1: survived $2" >&2
        return 1
    elif grep -q "^thread '$2'.* panicked at" "$said"; then # a deadlock aborts the process before the test can report FAILED
        echo "$1: found by $2"
    else
        echo "$1: failed for another reason:" >&2
        tail -n 20 "$said" >&2
        return 1
    fi
}
export -f run check
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export work
grep . <<<"$found_by" | xargs -P "$(nproc)" -L 1 bash -c 'check "$@"' _
