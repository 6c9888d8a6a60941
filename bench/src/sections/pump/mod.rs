//! Real TCP and UDP between two network namespaces: through ours, through tun-rs, and through a veth pair.

mod forward;
pub(super) mod path;
mod ping;
pub(super) mod transfer;

use std::time::Duration;

use tunctl_core::CreateOptions;
use tunctl_packet::header::{Endian, VnetFormat, VnetLength};

use self::path::{Path, with_vxlan};
use self::transfer::{Sample, Streams};
use crate::compare::rounds;
use crate::results::{Goal, Row};

/// Rounds measured even if the time is up.
const LEAST: usize = 3;
/// Streams in each direction where there are many.
const MANY: usize = 128;
pub(super) const KIB: f64 = 1024.0;

/// Measures for so long, beside the twenty rounds of pings.
pub(super) fn run(time: Duration) -> Result<Vec<Row>, String> {
    let pump = forward::pump("pump", VnetFormat::default())?;
    let mut rows = ping::rows(&pump, &forward::raw_loop("loop")?)?;
    rows.extend(transfers(time, &pump)?);
    Ok(rows)
}

/// What carries TCP, each in its own pair of namespaces.
fn transfers(time: Duration, pump: &Path) -> Result<Vec<Row>, String> {
    let relay = forward::relay("relay", &CreateOptions::tun().vnet_header(true))?;
    let tun_rs = forward::tun_rs("tun-rs")?;
    let plain = forward::plain("plain")?;
    let veth = path::veth("veth")?;
    let with_room = VnetFormat::new(VnetLength::Tunnel, Endian::Native);
    let vxlan = with_vxlan(forward::pump("vxlan", with_room)?)?;
    // Between taps alone, Linux takes what is in a tunnel many packets at a time.
    let taps = CreateOptions::tap().vnet_format(with_room);
    let vxlan_relay = with_vxlan(forward::relay("vxlan relay", &taps)?)?;
    let vxlan_veth = with_vxlan(path::veth("vxlan on veth")?)?;
    let one = Streams { each_way: 1, back: false };
    let many = Streams { each_way: MANY, back: true };
    let ways = [
        (pump, one),
        (&relay, one),
        (&tun_rs, one),
        (&plain, one),
        (pump, many),
        (&relay, many),
        (&veth, one),
        (&veth, many),
        (&vxlan, one),
        (&vxlan_relay, one),
        (&vxlan_veth, one),
    ];
    let samples = rounds(time, LEAST, ways.len(), |index| {
        let (path, streams) = ways[index];
        transfer::sample(path, streams).map_err(|why| format!("{}: {why}", path.name))
    })?;
    Ok(rows(&std::array::from_fn(|index| Samples::of(&samples[index]))))
}

/// Those with a goal, and those that explain them: many streams and a VXLAN are something else where no
/// program forwards, too.
fn rows(
    [one, relay, tun_rs, plain, many, many_relay, veth, many_veth, vxlan, vxlan_relay, vxlan_veth]: &[Samples;
         11],
) -> Vec<Row> {
    let at_least = |limit| Some(Goal::AtLeast(limit));
    let a_kib = |side: &Samples| side.cpu.iter().map(|cost| cost * KIB).collect::<Vec<_>>();
    let cpu = |case: &str, reference: &Samples, name, goal| {
        Row::costs(format!("CPU a KiB, beside {case}"), (&a_kib(one), &a_kib(reference)), name, goal)
    };
    let goodput = |case: &str, ours: &Samples, reference: &Samples, name, goal| {
        Row::rates(case.to_owned(), 1, (&ours.wall, &reference.wall), name, goal)
    };
    let many_streams = format!("{MANY} streams each way, beside one");
    let per_cpu = |whose: &str, ours: &Samples, goal| {
        let case = format!("{whose}TCP a second of CPU, beside tun-rs");
        Row::rates(case, 1, (&ours.cpu, &tun_rs.cpu), "tun-rs", goal)
    };
    vec![
        cpu("passthrough", relay, "passthrough", Some(Goal::AtMost(1.2))),
        cpu("no offload", plain, "no offload", None),
        per_cpu("", one, at_least(1.3)),
        per_cpu("passthrough: ", relay, None),
        goodput("TCP, beside tun-rs", one, tun_rs, "tun-rs", None),
        goodput("TCP, beside passthrough", one, relay, "passthrough", None),
        goodput("TCP, beside no offload", one, plain, "no offload", None),
        goodput("TCP, beside a veth pair", one, veth, "a veth pair", at_least(0.5)),
        goodput(&many_streams, many, one, "one stream", at_least(0.95)),
        goodput(&format!("passthrough: {many_streams}"), many_relay, relay, "one stream", None),
        goodput(&format!("veth pair: {many_streams}"), many_veth, veth, "one stream", None),
        goodput("TCP in VXLAN, beside TCP", vxlan, one, "TCP", at_least(0.8)),
        goodput("passthrough: TCP in VXLAN", vxlan_relay, relay, "passthrough", at_least(0.8)),
        goodput("veth pair: TCP in VXLAN", vxlan_veth, veth, "TCP", None),
    ]
}

/// Nanoseconds a byte, one sample a round.
struct Samples {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Samples {
    fn of(samples: &[Sample]) -> Self {
        let wall = samples.iter().map(|sample| sample.wall).collect();
        Self { wall, cpu: samples.iter().map(|sample| sample.cpu).collect() }
    }
}
