#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod fake;
mod file;

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tunctl_core::{Cause, CreateFlags, Layer, Queues, TunDevice};
use tunctl_packet::{EtherType, PacketInfo, ethernet_frame, udp_packet};

use self::fake::Fake;
use crate::{Direction, Recorded, Recorder, Recording};

const TUN: CreateFlags = CreateFlags::TUN.union(CreateFlags::NO_PI);
const TAP: CreateFlags = CreateFlags::TAP.union(CreateFlags::NO_PI);

/// A clock that gains a second with each packet.
fn ticking() -> impl FnMut() -> Duration + Send + 'static {
    let mut time = Duration::from_nanos(1_700_000_000_123_456_789);
    move || {
        time += Duration::from_secs(1);
        time
    }
}

fn recorder(flags: CreateFlags) -> Recorder<Fake, Vec<u8>> {
    Recorder::with_clock(Fake::new(flags), Vec::new(), ticking())
}

/// The packets of a recorder's log, which must be whole.
fn recorded(recorder: Recorder<Fake, Vec<u8>>) -> Vec<Recorded> {
    Recording::parse(&recorder.finish().1.unwrap()).unwrap().packets().to_vec()
}

fn udp(payload: &[u8]) -> Vec<u8> {
    udp_packet("[fd77::1]:4000".parse().unwrap(), "[fd77::2]:53".parse().unwrap(), payload).unwrap()
}

/// One use of a device: in which of its four forms, and with which bytes.
fn uses() -> impl Strategy<Value = Vec<(bool, bool, bool, Vec<u8>)>> {
    vec((any::<bool>(), any::<bool>(), any::<bool>(), vec(any::<u8>(), 15..80)), 0..20)
}

fn use_device<D: TunDevice>(device: &D, waiting: bool, vectored: bool, sends: bool, bytes: &[u8]) -> usize {
    let mut buffer = [0; 100];
    let (front, back) = buffer.split_at_mut(7);
    let mut buffers = [IoSliceMut::new(front), IoSliceMut::new(back)];
    let pieces = [IoSlice::new(&bytes[..3]), IoSlice::new(&bytes[3..])];
    match (sends, vectored, waiting) {
        (false, false, false) => device.try_recv(&mut buffer),
        (false, false, true) => device.recv(&mut buffer),
        (false, true, false) => device.try_recv_vectored(&mut buffers),
        (false, true, true) => device.recv_vectored(&mut buffers),
        (true, false, false) => device.try_send(bytes),
        (true, false, true) => device.send(bytes),
        (true, true, false) => device.try_send_vectored(&pieces),
        (true, true, true) => device.send_vectored(&pieces),
    }
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn what_passed_by_any_way_is_read_again_without_headers(
        tap: bool, information: bool, vnet: bool, uses in uses(),
    ) {
        let mut flags = if tap { TAP } else { TUN };
        flags.set(CreateFlags::NO_PI, !information);
        flags.set(CreateFlags::VNET_HDR, vnet);
        let headers = usize::from(information) * 4 + usize::from(vnet) * 10;
        let recorder = recorder(flags);
        let mut clock = ticking();
        let mut expected = Vec::new();
        for (waiting, vectored, sends, bytes) in uses {
            if !sends {
                recorder.device().fill(&bytes);
            }
            assert_eq!(use_device(&recorder, waiting, vectored, sends, &bytes), bytes.len());
            expected.push(Recorded {
                direction: Some(if sends { Direction::Sent } else { Direction::Received }),
                time: Some(clock()),
                layer: Some(if tap { Layer::Tap } else { Layer::Tun }),
                packet: bytes[headers..].to_vec(),
                original_length: bytes.len() - headers,
            });
        }
        assert!(recorder.log_error().is_none());
        assert_eq!(recorded(recorder), expected);
    }
}

#[test]
fn what_did_not_pass_is_not_in_the_log() {
    let recorder = recorder(TUN);
    assert!(recorder.try_recv(&mut [0; 9]).unwrap_err().is_would_block());
    assert_eq!(recorder.send(&[]).unwrap_err().cause(), Cause::TooShort);
    recorder.device().fill(b"not taken");
    assert_eq!(recorder.recv(&mut []).unwrap(), 0);
    assert_eq!(recorded(recorder), []);
}

#[test]
fn a_packet_that_a_buffer_cut_keeps_the_length_that_its_header_states() {
    let packet = udp(&[0; 100]);
    let tags = [[0x81, 0, 0, 5], [0x88, 0xa8, 0, 6]].concat();
    let kind = 0x86dd_u16.to_be_bytes();
    let tagged = [&[2; 12], &tags[..], &kind, &packet].concat();
    let frame = ethernet_frame([2; 6], [4; 6], EtherType::IPV6, &packet);
    for (flags, bytes, buffer, original) in [
        (TUN, &packet, 50, 148),
        (TUN, &packet, 5, 5),
        (TUN, &packet, 148, 148),
        (TUN, &packet, 1000, 148),
        (TAP, &frame, 30, 162),
        (TAP, &frame, 14, 14),
        (TAP, &frame, 13, 13),
        (TAP, &tagged, 30, 170),
        (TAP, &tagged, 17, 17),
    ] {
        let recorder = recorder(flags);
        recorder.device().fill(bytes);
        let length = recorder.recv(&mut vec![0; buffer]).unwrap();
        let recorded = recorded(recorder).remove(0);
        assert_eq!(
            (recorded.packet, recorded.original_length),
            (bytes[..length].to_vec(), original),
            "{buffer}"
        );
    }
}

/// Takes so many writes, and fails from then on.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(1).ok_or(io::Error::from(io::ErrorKind::StorageFull))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.checked_sub(1).map(drop).ok_or(io::Error::from(io::ErrorKind::QuotaExceeded))
    }
}

#[test]
fn a_writer_that_fails_loses_no_packet_and_is_told_of() {
    let recorder = Recorder::new(Fake::new(TUN), Full(2));
    for _ in 0..3 {
        recorder.device().fill(b"packet");
        assert_eq!(recorder.recv(&mut [0; 9]).unwrap(), 6);
    }
    let error = recorder.log_error().unwrap();
    assert_eq!((error.lost(), error.io_error().kind()), (2, io::ErrorKind::StorageFull));
    recorder.send(b"packet").unwrap();
    let (device, log) = recorder.finish();
    assert_eq!(device.sent(), [b"packet"]);
    let error = log.err().unwrap();
    assert_eq!((error.lost(), io::Error::from(error).kind()), (3, io::ErrorKind::StorageFull));
}

/// A disk with room for so many bytes, which takes a part of a write if it has no room for all.
#[derive(Clone)]
struct Disk {
    room: usize,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.written.lock().unwrap();
        let taken = bytes.len().min(self.room - written.len());
        written.extend(&bytes[..taken]);
        if taken > 0 { Ok(taken) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_packet_that_is_missing_from_a_full_disk_is_counted() {
    const PACKETS: u64 = 20;
    for room in (0..1600).step_by(7) {
        let disk = Disk { room, written: Arc::default() };
        let recorder = Recorder::new(Fake::new(TUN), disk.clone()).buffered();
        for _ in 0..PACKETS {
            recorder.send(b"packet").unwrap();
        }
        let lost = recorder.finish().1.err().map_or(0, |error| error.lost());
        let (logged, _) = Recording::salvage(&disk.written.lock().unwrap());
        assert_eq!(logged.packets().len() as u64 + lost, PACKETS, "with room for {room} bytes");
    }
}

#[test]
fn a_buffered_log_is_written_in_few_parts_and_also_if_nobody_finishes_it() {
    let disk = Disk { room: usize::MAX, written: Arc::default() };
    let recorder = Recorder::new(Fake::new(TUN), disk.clone()).buffered();
    let begun = disk.written.lock().unwrap().len();
    recorder.send(b"packet").unwrap();
    assert_eq!(disk.written.lock().unwrap().len(), begun, "nothing is written for one packet");
    for _ in 0..1000 {
        recorder.send(&[0x45; 200]).unwrap();
    }
    assert!(disk.written.lock().unwrap().len() > begun, "it does not gather for ever");
    let clone = recorder.try_clone().unwrap();
    drop((recorder, clone));
    let log = Recording::parse(&disk.written.lock().unwrap()).unwrap();
    assert_eq!(log.packets().len(), 1001);
}

#[test]
fn a_failed_start_and_a_failed_flush_are_told_of_too() {
    let recorder = Recorder::new(Fake::new(TUN), Full(0));
    assert_eq!(recorder.log_error().unwrap().lost(), 0);
    let recorder = Recorder::new(Fake::new(TUN), Full(1));
    assert!(recorder.log_error().is_none());
    let error = recorder.finish().1.err().unwrap();
    assert_eq!((error.lost(), error.io_error().kind()), (0, io::ErrorKind::QuotaExceeded));
    assert_eq!(error.to_string(), "the log of packets ends early, 0 are missing from it: quota exceeded");
}

#[test]
fn a_clock_that_panics_ends_the_log_and_not_the_device() {
    let recorder = Recorder::with_clock(Fake::new(TUN), Vec::new(), || panic!("the clock stopped"));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| recorder.send(b"one")));
    assert!(panicked.is_err());
    recorder.send(b"two").unwrap();
    assert_eq!(recorder.log_error().unwrap().lost(), 2);
}

#[test]
fn clones_share_a_log_and_whoever_is_left_behind_says_so() {
    let recorder = recorder(TUN);
    let clone = recorder.try_clone().unwrap();
    recorder.send(b"one").unwrap();
    clone.send(b"two").unwrap();
    let log = recorder.finish().1.unwrap();
    let packets: Vec<_> =
        Recording::parse(&log).unwrap().into_iter().map(|recorded| recorded.packet).collect();
    assert_eq!(packets, [b"one", b"two"]);
    assert!(clone.log_error().is_none());
    clone.send(b"three").unwrap();
    assert_eq!(clone.log_error().unwrap().lost(), 1);
    assert!(clone.finish().1.is_err());
}

#[test]
fn a_device_that_could_not_be_destroyed_comes_back_with_its_log() {
    let recorder = recorder(TUN);
    recorder.send(b"one").unwrap();
    let failed = recorder.destroy().unwrap_err();
    assert_eq!(failed.error().cause(), Cause::Busy);
    let recorder = failed.into_device().unwrap();
    recorder.send(b"two").unwrap();
    assert_eq!(recorded(recorder).len(), 2);
}

#[test]
fn all_else_is_the_device_s_own_answer() {
    let recorder = recorder(TAP);
    assert_eq!(recorder.name().unwrap().to_string(), "fake0");
    assert_eq!((recorder.flags(), recorder.layer()), (TAP, Layer::Tap));
    assert_eq!(recorder.detach_queue().unwrap_err().cause(), Cause::Unsupported);
    assert_eq!(recorder.down().unwrap_err().cause(), Cause::Unsupported);
}

#[test]
fn packets_are_sent_again_with_the_headers_that_the_device_asks_for() {
    let recorder = recorder(TUN);
    let packets = [udp(b"received"), udp(b"sent")];
    recorder.device().fill(&packets[0]);
    recorder.recv(&mut [0; 100]).unwrap();
    recorder.send(&packets[1]).unwrap();
    let recording = Recording::parse(&recorder.finish().1.unwrap()).unwrap();
    let plain = Fake::new(TUN);
    assert_eq!(recording.send_all(&plain, None).unwrap(), 2);
    assert_eq!(plain.sent(), packets);
    let headers = Fake::new(CreateFlags::TUN | CreateFlags::VNET_HDR);
    assert_eq!(recording.send_all(&headers, Some(Direction::Sent)).unwrap(), 1);
    let information = PacketInfo::new(EtherType::IPV6).to_bytes();
    assert_eq!(headers.sent(), [[&information[..], &[0; 10], &packets[1]].concat()]);
    assert_eq!(recording.send_all(&Fake::new(TAP), None).unwrap_err().cause(), Cause::LayerMismatch);
}

#[test]
fn a_replay_stops_at_the_first_failure() {
    let recorder = recorder(TAP);
    for packet in [b"one", b"two", b"six"] {
        recorder.send(packet).unwrap();
    }
    let recording = Recording::parse(&recorder.finish().1.unwrap()).unwrap();
    let mut seen = Vec::new();
    let outcome = recording.replay(|recorded| {
        seen.push(recorded.packet.clone());
        if recorded.packet == b"two" { Err("enough") } else { Ok(()) }
    });
    assert_eq!((outcome, seen), (Err("enough"), vec![b"one".to_vec(), b"two".to_vec()]));
    let tap = Fake::new(CreateFlags::TAP);
    recording.send_all(&tap, None).unwrap();
    assert_eq!(tap.sent()[0], b"\0\0\0\0one");
}
