//! Programs that talk to each other in one process: two over a cable, then three over a switch.
//!
//! Each is generic over the backend and would run on a kernel unchanged; here they get a [`MockBackend`], so
//! nothing but memory is needed, and it can be said what each of them saw.
//!
//! ```text
//! cargo run -p tunctl --example mock_cable --features mock
//! ```

use std::error::Error;
use std::io::{self, Write};
use std::net::IpAddr;
use std::thread;

use tunctl::mock::{MockBackend, MockDevice};
use tunctl::packet::{echo_reply, ping_packet};
use tunctl::prelude::*;

/// A program with an interface and an address of its own.
struct Station<D> {
    tun: D,
    address: IpAddr,
}

impl<D: TunDevice> Station<D> {
    fn start<B: TunBackend<Device = D>>(backend: &B, name: &str, address: &str) -> Result<Self> {
        let address: InterfaceAddress = address.parse()?;
        let tun = backend.create(&CreateOptions::tun().name(name))?;
        tun.up(address)?;
        Ok(Self { tun, address: address.address() })
    }

    /// Answers each ping of its own address, and ends when its interface is deleted.
    fn answer(&self) -> Result<()> {
        let (mut request, mut answer) = ([0; 1500], [0; 1500]);
        loop {
            let request = match self.tun.recv(&mut request) {
                Err(error) if error.is_gone() => return Ok(()),
                length => &request[..length?],
            };
            let is_mine = Packet::parse(Layer::Tun, request)
                .is_ok_and(|packet| packet.destination() == Some(self.address));
            if let (true, Ok(length)) = (is_mine, echo_reply(request, &mut answer)) {
                self.tun.send(&answer[..length])?;
            }
        }
    }

    /// Pings another station, and tells the answer.
    fn ping(&self, other: IpAddr, number: u16) -> Result<String, Box<dyn Error>> {
        self.tun.send(&ping_packet(self.address, other, 7, number, b"anyone there?")?)?;
        let mut answer = [0; 1500];
        let length = self.tun.recv(&mut answer)?;
        Ok(line(&answer[..length]))
    }

    /// All packets that wait for it.
    fn heard(&self) -> Vec<String> {
        let mut packet = [0; 1500];
        let next = || self.tun.try_recv(&mut packet).ok().map(|length| line(&packet[..length]));
        std::iter::from_fn(next).collect()
    }
}

fn line(packet: &[u8]) -> String {
    let Ok(packet) = Packet::parse(Layer::Tun, packet) else { return "not IP".into() };
    let end = |address: Option<IpAddr>| address.map_or("?".into(), |address| address.to_string());
    format!("{} > {}: {}", end(packet.source()), end(packet.destination()), packet.summary())
}

type Mock = Station<MockDevice>;

/// One pings three times, while the other answers in a thread of its own, until its interface is deleted.
fn talk(kernel: &MockBackend, asking: &Mock, answering: &Mock) -> Result<Vec<String>, Box<dyn Error>> {
    thread::scope(|scope| {
        let answers = scope.spawn(|| answering.answer());
        let heard = (1..=3).map(|number| asking.ping(answering.address, number)).collect();
        kernel.delete(&answering.tun);
        answers.join().map_err(|_| "who answered has panicked")??;
        heard
    })
}

/// What the one end sends, the other receives.
fn cable(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let kernel = MockBackend::new();
    let left = Station::start(&kernel, "left0", "10.1.1.1/24")?;
    let right = Station::start(&kernel, "right0", "10.1.1.2/24")?;
    kernel.cable("left0", "right0")?;
    writeln!(output, "two over a cable; the left one pings")?;
    print(output, talk(&kernel, &left, &right)?)
}

/// A switch learns where each address is: a third hears only what is for somebody that nobody has heard of.
fn switch(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let kernel = MockBackend::new();
    let first = Station::start(&kernel, "one0", "10.1.1.1/24")?;
    let second = Station::start(&kernel, "two0", "10.1.1.2/24")?;
    let third = Station::start(&kernel, "three0", "10.1.1.3/24")?;
    kernel.switch(["one0", "two0", "three0"])?;
    writeln!(output, "three over a switch; the first pings the second")?;
    print(output, talk(&kernel, &first, &second)?)?;
    writeln!(output, "and what the third heard of it")?;
    print(output, third.heard())
}

fn print(output: &mut impl Write, lines: Vec<String>) -> Result<(), Box<dyn Error>> {
    lines.iter().try_for_each(|line| Ok(writeln!(output, "  {line}")?))
}

fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    cable(output)?;
    switch(output)
}

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut io::stdout())
}

#[test]
fn all_pings_are_answered_and_the_third_hears_one() {
    let mut printed = Vec::new();
    run(&mut printed).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let count = |words: &str| printed.matches(words).count();
    assert_eq!(count("10.1.1.2 > 10.1.1.1: echo reply"), 6, "{printed}");
    assert_eq!(count("10.1.1.1 > 10.1.1.2: echo request"), 1, "{printed}");
}
