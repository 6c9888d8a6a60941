//! A host that answers pings, in a task of tokio's, and tells every second how many.
//!
//! ```text
//! cargo run -p tunctl --example tokio_echo --features tokio,mock -- mock      no privilege; the example pings itself
//! sudo -E cargo run -p tunctl --example tokio_echo --features tokio,mock -- kernel     then: ping 10.78.0.2
//! ```
//!
//! It ends when its interface is deleted (`sudo tunctl delete echo0`).

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::interval;
use tunctl::mock::MockBackend;
use tunctl::packet::{echo_reply, ping_packet};
use tunctl::prelude::*;
use tunctl::tokio::AsyncDevice;

/// An interface with a network behind it.
fn start<B: TunBackend>(backend: &B) -> Result<B::Device> {
    let tun = backend.create(&CreateOptions::tun().name("echo%d").address("10.78.0.1/24").up())?;
    Ok(tun)
}

/// Answers each ping, whoever it is for, until the interface is gone; how many those were.
async fn answer<D: TunDevice>(tun: D) -> Result<usize> {
    let tun = AsyncDevice::new(tun)?;
    let mut second = interval(Duration::from_secs(1));
    let (mut request, mut reply) = ([0; 1500], [0; 1500]);
    let (mut answered, mut told) = (0, 0);
    loop {
        tokio::select! {
            // When the clock wins, this is dropped, and no packet with it.
            received = tun.recv(&mut request) => match received {
                Ok(length) => {
                    if let Ok(length) = echo_reply(&request[..length], &mut reply) {
                        tun.send(&reply[..length]).await?;
                        answered += 1;
                    }
                }
                Err(error) if error.is_gone() => return Ok(answered),
                Err(error) => return Err(error),
            },
            // A device that is flooded does not keep the clock from its turn.
            _ = second.tick() => if answered > told {
                println!("{answered} answered");
                told = answered;
            },
        }
    }
}

fn run<D: TunDevice>(tun: D) -> Result<usize, Box<dyn Error>> {
    Ok(Builder::new_current_thread().enable_all().build()?.block_on(answer(tun))?)
}

/// The system's side of the mock: pings, takes the answers, and deletes the interface.
fn ping(system: &MockBackend, count: u16) -> Result<usize, &'static str> {
    let mut answered = 0;
    for number in 1..=count {
        let ping = ping_packet([10, 78, 0, 1].into(), [10, 78, 0, 2].into(), 7, number, b"tokio");
        system.inject("echo0", ping.map_err(|_| "no ping can be built")?);
        let answer = system.take_within("echo0", Duration::from_secs(10)).ok_or("no answer")?;
        println!("{}", Packet::parse(Layer::Tun, &answer).map_err(|_| "no packet")?.summary());
        answered += 1;
    }
    system.delete("echo0");
    Ok(answered)
}

fn on_the_mock() -> Result<(usize, usize), Box<dyn Error>> {
    let system = MockBackend::new();
    let tun = start(&system)?;
    let pinging = thread::spawn(move || ping(&system, 5));
    let answered = run(tun)?;
    Ok((pinging.join().map_err(|_| "the system panicked")??, answered))
}

pub(crate) fn on_the_kernel() -> Result<usize, Box<dyn Error>> {
    let tun = start(&tunctl::native())?;
    println!("{} is up: ping 10.78.0.2", tun.name()?);
    run(tun)
}

fn main() -> ExitCode {
    let answered = match std::env::args().nth(1).as_deref() {
        Some("mock") => on_the_mock().map(|(_, answered)| answered),
        Some("kernel") => on_the_kernel(),
        _ => {
            eprintln!("say where: mock or kernel");
            return ExitCode::from(2);
        }
    };
    match answered {
        Ok(count) => println!("{count} answered in all"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

#[test]
fn every_ping_is_answered() {
    assert_eq!(on_the_mock().unwrap(), (5, 5));
}
