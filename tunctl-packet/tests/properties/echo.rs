//! Answers to pings, and pings' answers.

use super::layout::{Layout, assert_right, repaired};
use super::{UNTOUCHED, assert_untouched, variants};
use tunctl_packet::{
    EchoMessage, EchoResponder, NoReply, Truncated, icmp_echo_request, icmpv6_echo_request, parse_echo_reply,
};

/// A request on its own.
pub(crate) fn echo_reply(bytes: &[u8]) {
    for request in variants(bytes) {
        let answered = answered(&request, tunctl_packet::echo_reply);
        // Who remembers fragments says the same of what is none.
        let mut responder = EchoResponder::new();
        let remembering =
            self::answered(&request, |request, answer| responder.clone().respond(request, answer));
        match &answered {
            Err(NoReply::Fragment) => assert_ne!(remembering, answered),
            _ => assert_eq!(remembering, answered),
        }
        let _ = responder.respond(&request, &mut []);
    }
}

/// Requests that come one after the other: two bytes of length, the first bit of which sets the checksums
/// right, and the packet.
pub(crate) fn echo_responder(bytes: &[u8]) {
    let mut responder = EchoResponder::new();
    // The fragmented requests that it should remember, the oldest first.
    let mut known = Vec::new();
    let mut rest = bytes;
    while let [l0, l1, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([l0 & 0x7f, *l1])).min(behind.len());
        let (packet, behind) = behind.split_at(length);
        rest = behind;
        let repaired = repaired(packet).filter(|_| l0 & 0x80 != 0);
        let request = repaired.as_deref().unwrap_or(packet);

        let before = responder.clone();
        let mut answer = vec![UNTOUCHED; request.len()];
        let outcome = responder.respond(request, &mut answer);
        assert_eq!(
            answered(request, |request, answer| before.clone().respond(request, answer))
                .map(|answer| answer.len()),
            outcome
        );
        assert_ne!(outcome, Err(NoReply::Fragment));
        let Some(layout) = Layout::of(request) else {
            assert!(outcome.is_err());
            continue;
        };
        let Some(fragment) = layout.fragment else {
            assert_eq!(outcome, tunctl_packet::echo_reply(request, &mut answer));
            continue;
        };
        let addresses = if layout.v6 { &request[8..40] } else { &request[12..20] };
        let datagram = (addresses.to_vec(), fragment.identification, layout.number);
        if layout.is_later_fragment() {
            assert!(known.contains(&datagram) || outcome.is_err());
            assert!(!known.contains(&datagram) || outcome != Err(NoReply::UnknownFragment));
        } else {
            // One that is broken is not looked at, and may be of anything.
            if !matches!(outcome, Err(NoReply::Malformed(_) | NoReply::BadChecksum)) {
                known.retain(|other| *other != datagram);
            }
            if outcome.is_ok() {
                known.push(datagram);
                known.drain(..known.len().saturating_sub(EchoResponder::CAPACITY));
            }
        }
    }
}

/// Answers a request, which must be right in all ways if it is answered, and else leave no trace.
fn answered(
    request: &[u8],
    mut answer_to: impl FnMut(&[u8], &mut [u8]) -> Result<usize, NoReply>,
) -> Result<Vec<u8>, NoReply> {
    let mut answer = vec![UNTOUCHED; request.len() + 4];
    let length = answer_to(request, &mut answer).inspect_err(|_| assert_untouched(&answer))?;
    assert_untouched(&answer[length..]);
    answer.truncate(length);
    assert_answers(request, &answer);

    let (need, have) = (length, length - 1);
    let mut short = vec![UNTOUCHED; have];
    assert_eq!(answer_to(request, &mut short), Err(NoReply::BufferTooSmall(Truncated { need, have })));
    assert_untouched(&short);
    Ok(answer)
}

/// That this is the request turned around, and nothing else.
fn assert_answers(request: &[u8], answer: &[u8]) {
    let layout = assert_right(answer);
    let asked = Layout::of(request).unwrap();
    let mut expected = request[..asked.end].to_vec();
    let (hops, addresses, length) = if layout.v6 { (7, 8, 16) } else { (8, 12, 4) };
    expected[hops] = 64;
    expected[addresses..addresses + 2 * length].rotate_left(length);
    if !layout.v6 {
        // That it is right was seen above.
        expected[10..12].copy_from_slice(&answer[10..12]);
        let (fixed, options) = expected[..layout.start].split_at_mut(20);
        record(options, &fixed[12..16]);
    }
    if !layout.is_later_fragment() {
        let (ip, transport) = expected.split_at_mut(layout.start);
        match layout.number {
            17 => transport[..4].rotate_left(2),
            1 => transport[0] = 0,
            58 => transport[0] = 129,
            other => panic!("answered protocol {other}"),
        }
        if layout.number != 17 {
            // Of a fragment, it need not come to zero; but to what it came to before.
            transport[2..4].copy_from_slice(&answer[ip.len() + 2..ip.len() + 4]);
            assert_eq!(layout.sum(answer) % 0xffff, asked.sum(request) % 0xffff);
        }
        let again = EchoResponder::new().respond(answer, &mut vec![0; answer.len()]);
        assert!(again.is_err(), "answers its own answer");
    }
    assert_eq!(answer, expected);
}

/// Adds the host to a recorded route and to timestamps (RFC 791, section 3.1), of which it has none to give.
fn record(options: &mut [u8], host: &[u8]) {
    let no_time = [0x80, 0, 0, 0];
    let mut at = 0;
    while at < options.len() && options[at] != 0 {
        if options[at] == 1 {
            at += 1;
            continue;
        }
        let option = &mut options[at..];
        let (length, pointer) = (usize::from(option[1]), usize::from(option[2]));
        let next = pointer - 1;
        let entry = match (option[0], option[3] & 0x0f) {
            (7, _) => host.to_vec(),
            (68, 0) => no_time.to_vec(),
            (68, 1) => [host, &no_time].concat(),
            (68, 3) => [host, &no_time].concat(),
            other => panic!("answered the option {other:?}"),
        };
        if next + entry.len() <= length {
            let is_for_another = option[0] == 68 && option[3] & 0x0f == 3 && option[next..next + 4] != *host;
            if !is_for_another {
                option[next..next + entry.len()].copy_from_slice(&entry);
                option[2] += u8::try_from(entry.len()).unwrap();
            }
        } else if option[0] == 68 && option[3] & 0x0f != 3 && option[3] < 0xf0 {
            option[3] += 0x10;
        }
        at += length;
    }
}

/// What a raw or ping socket gives.
pub(crate) fn echo_message(bytes: &[u8]) {
    let v4 = EchoMessage::parse_icmp(bytes);
    assert_message(bytes, v4, [8, 0], icmp_echo_request);
    let v6 = EchoMessage::parse_icmpv6(bytes);
    assert_message(bytes, v6, [128, 129], icmpv6_echo_request);
    let packet = EchoMessage::parse_icmp_packet(bytes);
    if packet.is_some() {
        assert_eq!((bytes[0] >> 4, bytes[9]), (4, 1));
        assert_eq!(packet, EchoMessage::parse_icmp(&bytes[usize::from(bytes[0] & 0xf) * 4..]));
    }
    // Of three that exclude one another.
    assert!([v4, v6, packet].into_iter().flatten().count() <= 1);
    let reply = [v4, v6, packet].into_iter().flatten().find(|message| message.is_reply);
    assert_eq!(parse_echo_reply(bytes), reply);
}

/// That a message is one if it looks so, and that it would be built from the same parts.
fn assert_message(
    bytes: &[u8],
    message: Option<EchoMessage<'_>>,
    kinds: [u8; 2],
    build: fn(u16, u16, &[u8]) -> Vec<u8>,
) {
    let is_one = bytes.len() >= 8 && kinds.contains(&bytes[0]) && bytes[1] == 0;
    assert_eq!(message.is_some(), is_one);
    let Some(EchoMessage { identifier, sequence, payload, is_reply, .. }) = message else {
        return;
    };
    assert_eq!(bytes[0], kinds[usize::from(is_reply)]);
    let built = build(identifier, sequence, payload);
    assert_eq!((&built[..2], &built[4..]), (&[kinds[0], 0][..], &bytes[4..]));
}
