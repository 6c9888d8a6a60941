//! The properties that hold for any bytes: one function for each parser and each kind of answer, which panics
//! if its property does not hold.
//!
//! They are written once, and run three times: on bytes from proptest (`hostile.rs`), on the kept corpus
//! (`corpus/main.rs`), and in the fuzz targets (`fuzz/fuzz_targets`), which look for new paths through the
//! code.

#![allow(dead_code, reason = "a fuzz target uses its part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod coalesce;
#[path = "../common/mod.rs"]
pub(crate) mod common;
mod echo;
pub(crate) mod filter;
mod headers;
mod layout;
mod refusal;
mod router;
mod split;
mod view;
mod vnet;

pub(crate) use coalesce::coalesce;
pub(crate) use echo::{echo_message, echo_reply, echo_responder};
pub(crate) use filter::{bpf, expression, filter};
pub(crate) use headers::{address_family, framed, packet_info};
pub(crate) use layout::repaired;
pub(crate) use refusal::{reset, unreachable};
pub(crate) use router::{packet_too_big, time_exceeded};
pub(crate) use split::split;
pub(crate) use view::{packet_tap, packet_tun};
pub(crate) use vnet::vnet;

/// A property of any bytes; panics if it does not hold.
pub(crate) type Property = fn(&[u8]);

/// All properties, under the names of their fuzz targets and corpora.
pub(crate) const ALL: [(&str, Property); 18] = [
    ("address_family", address_family),
    ("bpf", bpf),
    ("coalesce", coalesce),
    ("echo_message", echo_message),
    ("echo_reply", echo_reply),
    ("echo_responder", echo_responder),
    ("expression", expression),
    ("filter", filter),
    ("framed", framed),
    ("packet_info", packet_info),
    ("packet_tap", packet_tap),
    ("packet_too_big", packet_too_big),
    ("packet_tun", packet_tun),
    ("reset", reset),
    ("split", split),
    ("time_exceeded", time_exceeded),
    ("unreachable", unreachable),
    ("vnet", vnet),
];

/// The bytes of a buffer before anything is written to it.
const UNTOUCHED: u8 = 0xee;

/// Checks that nothing was written here.
fn assert_untouched(buffer: &[u8]) {
    assert!(buffer.iter().all(|byte| *byte == UNTOUCHED), "written where nothing should be");
}

/// The bytes themselves, and the same bytes with right checksums, which chance does not find.
fn variants(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let repaired = repaired(bytes).filter(|repaired| repaired != bytes);
    core::iter::once(bytes.to_vec()).chain(repaired)
}
