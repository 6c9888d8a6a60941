//! The IPv4 options that the answer to a ping brings back: the recorded route, and timestamps.
//!
//! A host adds itself to both, and returns them (RFC 1122, section 3.2.2.6), so that they describe the whole
//! round trip.

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;

/// "Not milliseconds since midnight" (RFC 791, section 3.1): nothing here has a clock.
const NO_TIME: [u8; 4] = [0x80, 0, 0, 0];

/// Whether a host answers a request with these options. Others can change the way of the answer, as a source
/// route does, and malformed ones are refused.
pub(super) fn are_answered(mut options: &[u8]) -> bool {
    loop {
        options = match *options {
            [] | [END, ..] => return true,
            [NO_OPERATION, ref rest @ ..] => rest,
            [kind, length, ref rest @ ..] if has_room_for_itself(kind, length, rest) => {
                rest.get(usize::from(length) - 2..).unwrap_or_default()
            }
            _ => return false,
        }
    }
}

/// Whether an option is one of the two, is as long as it says, and is full or has room for a whole entry.
fn has_room_for_itself(kind: u8, length: u8, rest: &[u8]) -> bool {
    let (head, entry, pointer) = match (kind, rest) {
        (RECORD_ROUTE, &[pointer, ..]) => (3, 4, pointer),
        (TIMESTAMP, &[pointer, flags, ..]) => match flags & 0x0f {
            0 => (4, 4, pointer),
            1 | 3 => (4, 8, pointer),
            _ => return false,
        },
        _ => return false,
    };
    let is_whole = length >= head && rest.len() + 2 >= usize::from(length);
    // The pointer counts from 1, from the option's first byte.
    let is_full = pointer > length;
    is_whole && pointer > head && (is_full || length - pointer + 1 >= entry)
}

/// Adds the host to the options of a request that [is answered](are_answered).
pub(super) fn record(mut options: &mut [u8], host: [u8; 4]) {
    loop {
        options = match options {
            [NO_OPERATION, rest @ ..] => rest,
            [RECORD_ROUTE | TIMESTAMP, length, ..] => {
                let length = usize::from(*length);
                let Some((option, rest)) = options.split_at_mut_checked(length) else { return };
                match option {
                    [RECORD_ROUTE, _, pointer, entries @ ..] => record_route(pointer, entries, host),
                    [_, _, pointer, flags, entries @ ..] => record_time(pointer, flags, entries, host),
                    _ => return,
                }
                rest
            }
            _ => return,
        }
    }
}

fn record_route(pointer: &mut u8, entries: &mut [u8], host: [u8; 4]) {
    let next = usize::from(*pointer).checked_sub(4).and_then(|at| entries.get_mut(at..));
    if let Some(place) = next.and_then(<[u8]>::first_chunk_mut) {
        *place = host;
        *pointer += 4;
    }
}

fn record_time(pointer: &mut u8, flags: &mut u8, entries: &mut [u8], host: [u8; 4]) {
    let next = usize::from(*pointer).checked_sub(5).and_then(|at| entries.get_mut(at..));
    match (*flags & 0x0f, next) {
        (0, Some([t0, t1, t2, t3, ..])) => {
            [*t0, *t1, *t2, *t3] = NO_TIME;
            *pointer += 4;
        }
        // With the host's address; or only if the sender named the host.
        (kind, Some([a0, a1, a2, a3, t0, t1, t2, t3, ..])) => {
            if kind == 1 {
                [*a0, *a1, *a2, *a3] = host;
            }
            if [*a0, *a1, *a2, *a3] == host {
                [*t0, *t1, *t2, *t3] = NO_TIME;
                *pointer += 8;
            }
        }
        // It is full: the high half counts the hosts that found no room.
        (0 | 1, _) => *flags = flags.checked_add(0x10).unwrap_or(*flags),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{are_answered, record};

    const HOST: [u8; 4] = [10, 0, 0, 2];

    #[track_caller]
    fn assert_recorded(options: &[u8], expected: &[u8]) {
        assert!(are_answered(options), "{options:?}");
        let mut recorded = options.to_vec();
        record(&mut recorded, HOST);
        assert_eq!(recorded, expected);
    }

    #[test]
    fn a_host_adds_itself_where_there_is_room() {
        assert_recorded(&[], &[]);
        assert_recorded(&[1, 1, 0, 7], &[1, 1, 0, 7]);
        assert_recorded(&[7, 7, 4, 9, 9, 9, 9, 0], &[7, 7, 8, 10, 0, 0, 2, 0]);
        assert_recorded(&[1, 7, 11, 8, 9, 9, 9, 9, 0, 0, 0, 0], &[1, 7, 11, 12, 9, 9, 9, 9, 10, 0, 0, 2]);
        assert_recorded(&[7, 7, 8, 9, 9, 9, 9, 0], &[7, 7, 8, 9, 9, 9, 9, 0]);
    }

    #[test]
    fn a_timestamp_says_that_there_is_no_clock() {
        assert_recorded(&[68, 8, 5, 0, 0, 0, 0, 0], &[68, 8, 9, 0, 0x80, 0, 0, 0]);
        assert_recorded(
            &[68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[68, 12, 13, 1, 10, 0, 0, 2, 0x80, 0, 0, 0],
        );
        // Sent for this host, and for another.
        assert_recorded(
            &[68, 12, 5, 3, 10, 0, 0, 2, 0, 0, 0, 0],
            &[68, 12, 13, 3, 10, 0, 0, 2, 0x80, 0, 0, 0],
        );
        assert_recorded(&[68, 12, 5, 3, 10, 0, 0, 3, 0, 0, 0, 0], &[68, 12, 5, 3, 10, 0, 0, 3, 0, 0, 0, 0]);
        // Full.
        assert_recorded(&[68, 8, 9, 0, 1, 2, 3, 4], &[68, 8, 9, 0x10, 1, 2, 3, 4]);
        assert_recorded(&[68, 8, 9, 0xf0, 1, 2, 3, 4], &[68, 8, 9, 0xf0, 1, 2, 3, 4]);
    }

    #[test]
    fn other_options_and_malformed_ones_are_refused() {
        let refused: [&[u8]; 11] = [
            &[131, 7, 4, 10, 0, 0, 3, 0],
            &[137, 7, 4, 10, 0, 0, 3, 0],
            &[148, 4, 0, 0],
            &[7],
            &[7, 2, 0, 0],
            &[7, 7, 3, 0, 0, 0, 0, 0],
            &[7, 7, 5, 0, 0, 0, 0, 0],
            &[7, 12, 4, 0, 0, 0, 0, 0],
            &[68, 8, 4, 0, 0, 0, 0, 0],
            &[68, 8, 5, 1, 0, 0, 0, 0],
            &[68, 8, 5, 2, 0, 0, 0, 0],
        ];
        for options in refused {
            assert!(!are_answered(options), "{options:?}");
        }
    }
}
