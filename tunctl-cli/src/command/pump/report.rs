//! What passes a pump: live lines for a terminal, totals, and JSON.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tunctl::Layer;
use tunctl::pump::Traffic;

use super::super::output::{self, width};

/// How often there is something new to see.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// The output format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Totals at the end.
    Text,
    /// Also rates, in lines that are written anew each second.
    Live,
    /// An object each second.
    Json,
}

/// Prints what passes.
pub(super) struct Reporter {
    form: Form,
    /// The interfaces' names.
    names: [String; 2],
    started: Instant,
    /// The last report of rates, and what had passed by then.
    last: Instant,
    before: [Traffic; 2],
    /// Whether there are live lines on the terminal.
    is_shown: bool,
}

/// The interfaces are joined.
#[derive(Serialize)]
struct JoinedObject<'a> {
    event: &'static str,
    a: &'a str,
    b: &'a str,
    layer: String,
    queues: usize,
    /// What the system leaves to this program, by the names of `tunctl features`.
    offloads: Vec<&'static str>,
}

/// What passed in a time.
#[derive(Serialize)]
struct TrafficObject<'a> {
    event: &'static str,
    /// Seconds since 1970-01-01.
    time: f64,
    /// How long that took.
    seconds: f64,
    a_to_b: WayObject<'a>,
    b_to_a: WayObject<'a>,
}

/// One direction.
#[derive(Serialize)]
struct WayObject<'a> {
    from: &'a str,
    to: &'a str,
    /// Packets that arrived.
    packets: u64,
    bytes: u64,
    packets_per_second: f64,
    bits_per_second: f64,
    /// Packets that were received, before the wire dropped some.
    received: u64,
    receive_calls: u64,
    send_calls: u64,
    /// `None` if there was no call.
    packets_per_receive_call: Option<f64>,
    packets_per_send_call: Option<f64>,
    dropped: u64,
    lost: u64,
}

impl Reporter {
    pub(super) fn new(json: bool, names: [String; 2]) -> Self {
        let is_dumb = env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
        let form = match json {
            true => Form::Json,
            false if io::stdout().is_terminal() && !is_dumb => Form::Live,
            false => Form::Text,
        };
        let now = Instant::now();
        Self { form, names, started: now, last: now, before: Default::default(), is_shown: false }
    }

    /// Whether it prints anything before the end.
    pub(super) fn reports_rates(&self) -> bool {
        self.form != Form::Text
    }

    /// Prints that the interfaces are joined. From then on, a script may use them.
    pub(super) fn joined(&self, layer: Layer, queues: usize, offloads: tunctl::Offloads) -> io::Result<()> {
        let [a, b] = &self.names;
        if self.form == Form::Json {
            let offloads = offloads.names().collect();
            let layer = layer.to_string();
            return output::json(&JoinedObject { event: "joined", a, b, layer, queues, offloads });
        }
        let calls = if offloads.is_empty() {
            "one packet a call".to_owned()
        } else {
            format!("many packets a call: {offloads}")
        };
        let queues = if queues == 1 { String::new() } else { format!("{queues} queues, ") };
        writeln!(io::stdout(), "{a} and {b} are joined ({layer}, {queues}{calls})")
    }

    /// Prints what has passed since the last call.
    pub(super) fn rates(&mut self, traffic: [Traffic; 2]) -> io::Result<()> {
        let now = Instant::now();
        let passed = now.duration_since(self.last);
        let recent = [difference(&traffic[0], &self.before[0]), difference(&traffic[1], &self.before[1])];
        (self.last, self.before) = (now, traffic);
        match self.form {
            Form::Text => Ok(()),
            Form::Json => output::json(&self.object("rates", passed, &recent)),
            Form::Live => self.draw(passed, &recent, &traffic),
        }
    }

    /// Prints what has passed in all.
    pub(super) fn totals(&self, traffic: [Traffic; 2]) -> io::Result<()> {
        let passed = self.started.elapsed();
        if self.form == Form::Json {
            return output::json(&self.object("totals", passed, &traffic));
        }
        let mut text = String::new();
        if self.is_shown {
            // A terminal writes ^C where the cursor is.
            text.push_str("\r\x1b[K");
        }
        for (way, one) in self.ways().iter().zip(&traffic) {
            text.push_str(&total(way, one));
            text.push('\n');
        }
        io::stdout().write_all(text.as_bytes())
    }

    fn ways(&self) -> [String; 2] {
        let [a, b] = &self.names;
        [format!("{a} > {b}"), format!("{b} > {a}")]
    }

    fn object(&self, event: &'static str, passed: Duration, traffic: &[Traffic; 2]) -> TrafficObject<'_> {
        let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64();
        let seconds = passed.as_secs_f64();
        let [a, b] = &self.names;
        let a_to_b = WayObject::new(a, b, seconds, &traffic[0]);
        let b_to_a = WayObject::new(b, a, seconds, &traffic[1]);
        TrafficObject { event, time, seconds, a_to_b, b_to_a }
    }

    /// Writes the live lines, over the last ones if there are any.
    fn draw(&mut self, passed: Duration, recent: &[Traffic; 2], all: &[Traffic; 2]) -> io::Result<()> {
        let ways = self.ways();
        let column = ways[0].chars().count();
        let mut lines = vec![format!(
            "{:column$}  {:>9}  {:>12}  {:>8}  {:>9}  {:>9}  {:>6}",
            "", "packets/s", "rate", "per read", "per write", "dropped", "lost"
        )];
        for ((way, recent), all) in ways.iter().zip(recent).zip(all) {
            let rates = WayObject::new("", "", passed.as_secs_f64(), recent);
            lines.push(format!(
                "{way}  {:>9.0}  {:>12}  {:>8}  {:>9}  {:>9}  {:>6}",
                rates.packets_per_second,
                bits(rates.bits_per_second),
                per_call(rates.packets_per_receive_call),
                per_call(rates.packets_per_send_call),
                all.dropped,
                all.lost,
            ));
        }
        let width = width();
        let mut text = String::new();
        if self.is_shown {
            text.push_str("\x1b[3A");
        }
        for line in lines {
            // A line that goes on below would be overwritten in part.
            text.extend(line.chars().take(width.saturating_sub(1)));
            text.push_str("\x1b[K\n");
        }
        self.is_shown = true;
        io::stdout().write_all(text.as_bytes())
    }
}

impl<'a> WayObject<'a> {
    fn new(from: &'a str, to: &'a str, seconds: f64, traffic: &Traffic) -> Self {
        Self {
            from,
            to,
            packets: traffic.sent,
            bytes: traffic.bytes,
            packets_per_second: ratio(traffic.sent, seconds).unwrap_or_default(),
            bits_per_second: ratio(traffic.bytes, seconds).unwrap_or_default() * 8.0,
            received: traffic.received,
            receive_calls: traffic.receive_calls,
            send_calls: traffic.send_calls,
            packets_per_receive_call: ratio(traffic.received, count(traffic.receive_calls)),
            packets_per_send_call: ratio(traffic.sent, count(traffic.send_calls)),
            dropped: traffic.dropped,
            lost: traffic.lost,
        }
    }
}

/// A count as a number to calculate with: exact up to 2^53, which no count reaches.
#[allow(clippy::cast_precision_loss, reason = "no count is so large")]
const fn count(number: u64) -> f64 {
    number as f64
}

fn ratio(number: u64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| count(number) / of)
}

fn difference(now: &Traffic, before: &Traffic) -> Traffic {
    let mut recent = *now;
    recent.received = now.received.saturating_sub(before.received);
    recent.receive_calls = now.receive_calls.saturating_sub(before.receive_calls);
    recent.sent = now.sent.saturating_sub(before.sent);
    recent.send_calls = now.send_calls.saturating_sub(before.send_calls);
    recent.bytes = now.bytes.saturating_sub(before.bytes);
    recent.dropped = now.dropped.saturating_sub(before.dropped);
    recent.lost = now.lost.saturating_sub(before.lost);
    recent
}

/// `a > b: 3 packets, 252 bytes; packets a call: 1.0 received, 1.0 sent; 0 dropped, 0 lost`
fn total(way: &str, traffic: &Traffic) -> String {
    let all = WayObject::new("", "", 0.0, traffic);
    let s = if all.packets == 1 { "" } else { "s" };
    let calls = match (all.packets_per_receive_call, all.packets_per_send_call) {
        (None, None) => String::new(),
        (received, sent) => {
            format!("; packets a call: {} received, {} sent", per_call(received), per_call(sent))
        }
    };
    let (packets, bytes, dropped, lost) = (all.packets, all.bytes, all.dropped, all.lost);
    format!("{way}: {packets} packet{s}, {bytes} bytes{calls}; {dropped} dropped, {lost} lost")
}

fn per_call(packets: Option<f64>) -> String {
    packets.map_or_else(|| "-".to_owned(), |packets| format!("{packets:.1}"))
}

/// A rate in bits a second, with three or more digits.
fn bits(rate: f64) -> String {
    let units = [(1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")];
    match units.into_iter().find(|(unit, _)| rate >= *unit) {
        Some((unit, name)) => format!("{:.2} {name}", rate / unit),
        None => format!("{rate:.0} bit/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic() -> Traffic {
        let mut traffic = Traffic::default();
        (traffic.received, traffic.receive_calls) = (90, 2);
        (traffic.sent, traffic.send_calls, traffic.bytes) = (88, 4, 132_000);
        (traffic.dropped, traffic.lost) = (1, 1);
        traffic
    }

    #[test]
    fn totals_say_how_many_packets_a_call_had() {
        let expected =
            "a > b: 88 packets, 132000 bytes; packets a call: 45.0 received, 22.0 sent; 1 dropped, 1 lost";
        assert_eq!(total("a > b", &traffic()), expected);
        assert_eq!(total("a > b", &Traffic::default()), "a > b: 0 packets, 0 bytes; 0 dropped, 0 lost");
    }

    #[test]
    fn rates_are_those_of_the_time_between() {
        let mut later = traffic();
        (later.sent, later.bytes, later.lost) = (188, 232_000, 4);
        let recent = difference(&later, &traffic());
        let way = WayObject::new("a", "b", 0.5, &recent);
        assert_eq!((way.packets, way.packets_per_second, way.bits_per_second), (100, 200.0, 1_600_000.0));
        assert_eq!((way.lost, way.dropped, way.packets_per_receive_call), (3, 0, None));
    }

    #[test]
    fn rates_have_units() {
        assert_eq!(bits(0.0), "0 bit/s");
        assert_eq!(bits(999.0), "999 bit/s");
        assert_eq!(bits(1500.0), "1.50 kbit/s");
        assert_eq!(bits(12_345_678.0), "12.35 Mbit/s");
        assert_eq!(bits(14e9), "14.00 Gbit/s");
    }
}
