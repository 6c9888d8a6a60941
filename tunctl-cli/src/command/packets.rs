//! Printing packets, one per line, for people or as JSON.

use std::env;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tunctl::Layer;
use tunctl::linux::Direction;
use tunctl::packet::{Packet, Protocol};

use super::output::{Columns, width, write_json};

/// The columns of a packet's line, in front of its summary: a narrower terminal gets no table.
const TABLE: usize = 75;

/// Prints packets as they pass. They appear at the next [`flush`](Self::flush), or when there are many.
pub(super) struct PacketPrinter {
    form: Form,
    width: usize,
    output: BufWriter<Stdout>,
    started: Instant,
    started_at: Duration,
}

/// The output format.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Coloured,
    Json,
}

impl Form {
    /// Colour is for terminals that have it, and only for people who want it (<https://no-color.org>).
    pub(super) fn choose(json: bool) -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let impossible = env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
        if json {
            Self::Json
        } else if io::stdout().is_terminal() && !unwanted && !impossible {
            Self::Coloured
        } else {
            Self::Text
        }
    }
}

/// A packet as JSON, with the same information as the line for people.
#[derive(Serialize)]
struct PacketObject {
    event: &'static str,
    /// Seconds since 1970-01-01.
    time: f64,
    direction: &'static str,
    protocol: String,
    source: Option<String>,
    source_port: Option<u16>,
    destination: Option<String>,
    destination_port: Option<u16>,
    length: usize,
    summary: String,
}

/// Packets that were missed since the last such event, as JSON.
#[derive(Serialize)]
struct MissedObject {
    event: &'static str,
    /// Seconds since 1970-01-01.
    time: f64,
    packets: u64,
}

impl PacketPrinter {
    pub(super) fn new(form: Form) -> Self {
        let started_at = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let output = BufWriter::new(io::stdout());
        Self { form, width: width(), output, started: Instant::now(), started_at }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Prints that packets passed unseen.
    pub(super) fn print_missed(&mut self, packets: u64) -> io::Result<()> {
        let passed = self.started.elapsed();
        if self.form == Form::Json {
            let time = (self.started_at + passed).as_secs_f64();
            return write_json(&mut self.output, &MissedObject { event: "missed", time, packets });
        }
        let time = self.paint("2", time(passed));
        let text = format!("missed: {packets}, which came faster than they were taken");
        let text = self.paint("31", text);
        writeln!(self.output, "{time}  {text}")
    }

    /// Prints a packet that passed at `when`. It had `length` bytes, of which `bytes` were captured.
    pub(super) fn print(
        &mut self,
        when: Instant,
        direction: Direction,
        layer: Layer,
        bytes: &[u8],
        length: usize,
    ) -> io::Result<()> {
        let passed = when.saturating_duration_since(self.started);
        let packet = Packet::parse(layer, bytes);
        let direction = match direction {
            Direction::Outgoing => "out",
            Direction::Incoming => "in",
        };
        let (protocol, summary) = match &packet {
            Ok(packet) => (packet.protocol().to_string(), packet.summary().to_string()),
            Err(error) => ("?".to_owned(), error.to_string()),
        };
        let packet = packet.ok();
        if self.form == Form::Json {
            let object = PacketObject {
                event: "packet",
                time: (self.started_at + passed).as_secs_f64(),
                direction,
                protocol,
                source: packet.as_ref().and_then(source),
                source_port: packet.as_ref().and_then(Packet::source_port),
                destination: packet.as_ref().and_then(destination),
                destination_port: packet.as_ref().and_then(Packet::destination_port),
                length,
                summary,
            };
            return write_json(&mut self.output, &object);
        }
        let ends = packet.as_ref().map_or_else(String::new, ends);
        let colour = packet.as_ref().map_or("31", |packet| colour(packet.protocol()));
        let (time, protocol, length) = (time(passed), format!("{protocol:<6}"), format!("{length:>5} B"));
        let mut line = Columns::new(self.width, 4);
        line.push(0, &time, self.paint("2", &time));
        let direction = format!("{direction:<3}");
        line.push(2, &direction, &direction);
        line.push(2, &protocol, self.paint(colour, &protocol));
        if self.width < TABLE {
            line.push_words(2, &ends);
            line.push_words(2, &length);
        } else {
            let ends = format!("{ends:<39}");
            line.push(2, &ends, &ends);
            line.push(2, &length, &length);
        }
        line.push_words(2, &summary);
        writeln!(self.output, "{}", line.finish())
    }

    fn paint(&self, code: &str, text: impl Display) -> String {
        match self.form {
            Form::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
            Form::Text | Form::Json => text.to_string(),
        }
    }
}

/// Seconds and microseconds, in a column.
fn time(passed: Duration) -> String {
    format!("{:>3}.{:06}", passed.as_secs(), passed.subsec_micros())
}

/// `10.0.0.1 > 10.0.0.2`, with ports where there are any.
fn ends(packet: &Packet<'_>) -> String {
    let end = |address: Option<String>, port: Option<u16>| match (address, port) {
        (Some(address), Some(port)) if address.contains(':') => format!("[{address}]:{port}"),
        (Some(address), Some(port)) => format!("{address}:{port}"),
        (address, _) => address.unwrap_or_default(),
    };
    let source = end(source(packet), packet.source_port());
    let destination = end(destination(packet), packet.destination_port());
    format!("{source} > {destination}")
}

/// The IP address, or the MAC address of a frame without IP.
fn source(packet: &Packet<'_>) -> Option<String> {
    packet.source().map(|address| address.to_string()).or_else(|| packet.source_mac().map(mac))
}

fn destination(packet: &Packet<'_>) -> Option<String> {
    packet.destination().map(|address| address.to_string()).or_else(|| packet.destination_mac().map(mac))
}

fn mac(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

/// The colour of a protocol, one of the sixteen that every terminal has.
fn colour(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Icmp => "32",
        Protocol::Icmpv6 => "36",
        Protocol::Udp => "34",
        Protocol::Tcp => "35",
        Protocol::Arp => "33",
        _ => "0",
    }
}
