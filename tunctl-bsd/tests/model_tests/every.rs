//! What all five have in common.

use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_bsd::Syscalls;
use tunctl_sys::bsd::Request;

use crate::fixture::{Fixture, SYSTEMS, UP, V4, errno};
use crate::models::numbers::{EAFNOSUPPORT, EAGAIN, EINVAL, EIO, EMSGSIZE, ENETDOWN, ENOBUFS, ENOTTY, ENXIO};
use crate::models::{Handle, System};

/// A tun that carries packets, and whose packets begin with a family.
fn ready(system: System) -> (Fixture, Handle) {
    let fixture = Fixture::new(system);
    let tun = fixture.tun();
    fixture.add_peer(fixture.tun_name());
    if let Some(request) = fixture.abi.requests.tun_set_head {
        fixture.set(&tun, Some(request), 1).expect("a header");
    }
    (fixture, tun)
}

fn is_readable(handle: &Handle) -> bool {
    let mut fds = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).expect("poll") == 1
}

/// A packet that differs from others.
fn numbered(number: u8) -> [u8; 20] {
    let mut packet = [0; 20];
    (packet[0], packet[19]) = (0x45, number);
    packet
}

#[test]
fn a_read_is_a_packet_and_what_is_too_long_is_lost() {
    for system in SYSTEMS {
        let (fixture, tun) = ready(system);
        assert!(!is_readable(&tun));
        assert!(
            fixture.inject(fixture.tun_name(), &numbered(1))
                && fixture.inject(fixture.tun_name(), &numbered(2))
        );
        assert!(is_readable(&tun));
        let (mut af_header, mut packet) = ([0; 4], [0; 6]);
        let mut buffers = [IoSliceMut::new(&mut af_header), IoSliceMut::new(&mut packet)];
        assert_eq!(fixture.model.read(&tun, &mut buffers).unwrap(), 10);
        assert_eq!((af_header, packet), ([0, 0, 0, 2], [0x45, 0, 0, 0, 0, 0]));
        assert_eq!(fixture.read(&tun), Ok([&[0, 0, 0, 2][..], &numbered(2)].concat()));
        assert_eq!(fixture.read(&tun), Err(EAGAIN));
        assert!(!is_readable(&tun));
    }
}

#[test]
fn a_read_waits_unless_it_is_non_blocking() {
    for system in SYSTEMS {
        let (fixture, tun) = ready(system);
        thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut buffer = [0; 100];
                fixture.model.read(&tun, &mut [IoSliceMut::new(&mut buffer)]).map_err(errno)
            });
            assert!(fixture.inject(fixture.tun_name(), V4));
            assert_eq!(reading.join().unwrap(), Ok(8));
        });
        // Of all descriptors of the device.
        let second = fixture.duplicate(&tun).unwrap();
        fixture.model.set_nonblocking(&second).unwrap();
        let read = fixture.model.read(&tun, &mut [IoSliceMut::new(&mut [0; 100])]).map_err(errno);
        assert_eq!(read, Err(EAGAIN));
        fixture.ioctl(&tun, fixture.abi.requests.set_nonblocking, vec![0; 4]).unwrap();
        assert!(fixture.inject(fixture.tun_name(), V4));
        assert!(is_readable(&second));
    }
}

#[test]
fn a_full_queue_takes_no_more_and_keeps_the_order() {
    for system in SYSTEMS {
        let (fixture, tun) = ready(system);
        let of = fixture.tun_name();
        let last = match system {
            System::NetBsd => 255,
            // And one at the socket.
            System::MacOs => 128,
            _ => 49,
        };
        for number in 0..=last {
            assert!(fixture.inject(of, &numbered(number)), "{system:?} {number}");
        }
        assert_eq!((fixture.send(of, V4), fixture.dropped(of)), (Err(ENOBUFS), 1));
        assert_eq!(fixture.get(&tun, Some(fixture.abi.requests.waiting)), Ok(24));
        for number in 0..=last {
            assert_eq!(fixture.read(&tun).unwrap()[23], number);
        }
        assert_eq!(fixture.get(&tun, Some(fixture.abi.requests.waiting)), Ok(0));
        assert_eq!(fixture.read(&tun), Err(EAGAIN));
        fixture.set_queue_length(if system == System::MacOs { 0 } else { 1 });
        assert!(fixture.inject(of, V4) && !fixture.inject(of, V4));
    }
}

#[test]
fn nothing_is_sent_while_down_or_if_it_is_too_long() {
    for system in SYSTEMS {
        let (fixture, tun) = ready(system);
        let of = fixture.tun_name();
        assert_eq!(fixture.send(of, &[0x45; 1501]), Err(EMSGSIZE));
        fixture.set_flags(of, 0).unwrap();
        let sent = if system == System::NetBsd { Ok(()) } else { Err(ENETDOWN) };
        assert_eq!(fixture.send(of, V4), sent, "{system:?}");
        fixture.set_up(of, true);
        assert!(fixture.inject(of, V4));
        drop(tun);
        assert!(!fixture.inject(of, V4));
    }
}

#[test]
fn what_waits_is_lost_when_the_interface_goes_down_where_the_queue_is_its_own() {
    for system in SYSTEMS {
        let (fixture, tun) = ready(system);
        let of = fixture.tun_name();
        assert!(fixture.inject(of, V4));
        fixture.set_flags(of, 0).unwrap();
        let purges = matches!(system, System::FreeBsd | System::NetBsd | System::DragonFly);
        assert_eq!(fixture.read(&tun).err(), purges.then_some(EAGAIN), "{system:?}");
    }
}

#[test]
fn what_is_written_to_a_tun_that_is_down_arrives_but_on_freebsd() {
    for system in SYSTEMS {
        let (fixture, tun) = ready(system);
        let of = fixture.tun_name();
        fixture.set_flags(of, 0).unwrap();
        fixture.write(&tun, &[0, 0, 0, 2], V4).unwrap();
        assert_eq!(fixture.taken(of).is_some(), system != System::FreeBsd, "{system:?}");
    }
}

#[test]
fn requests_of_another_system_are_unknown() {
    for system in SYSTEMS {
        let (fixture, tun) = ready(system);
        // Only NetBSD has this length of ifreq, and only FreeBSD this length of alias.
        let other = if system == System::NetBsd { System::FreeBsd } else { System::NetBsd };
        let other = Fixture::new(other).abi;
        let foreign = other.requests.get_mtu;
        assert_eq!(fixture.request(foreign, foreign.zeroed()), Err(ENOTTY), "{system:?}");
        assert_eq!(fixture.ioctl(&tun, foreign, foreign.zeroed()), Err(ENOTTY), "{system:?}");
        // A request about an interface, to a device.
        let own = fixture.abi.requests.get_flags;
        assert_eq!(fixture.ioctl(&tun, own, own.zeroed()), Err(ENOTTY), "{system:?}");
        assert_eq!(fixture.request(own, vec![0; 31]), Err(EINVAL), "{system:?}");
    }
}

#[test]
fn injected_failures_are_returned() {
    let fixture = Fixture::new(System::FreeBsd);
    fixture.fail("open /dev/tun", 24);
    assert_eq!([fixture.opens("/dev/tun0"), fixture.opens("/dev/tun0")], [Err(24), Ok(())]);
    fixture.fail_nth("configure SIOCSIFFLAGS", 2, 5);
    let answers = [fixture.set_flags("tun0", UP), fixture.set_flags("tun0", 0), fixture.set_flags("tun0", 0)];
    assert_eq!(answers, [Ok(()), Err(5), Ok(())]);
    fixture.fail_always("configure SIOCGIFFLAGS tun0", ENXIO);
    assert_eq!([fixture.flags("tun0"), fixture.flags("tun0")], [Err(ENXIO); 2]);
    fixture.heal();
    assert!(fixture.flags("tun0").is_ok());
}

#[test]
fn all_that_is_called_is_noted() {
    let fixture = Fixture::new(System::NetBsd);
    let tun = fixture.tun();
    fixture.set(&tun, fixture.abi.requests.tun_set_head, 1).unwrap();
    fixture.set_mtu("tun0", 1400).unwrap();
    fixture.add_peer("tun0");
    fixture.delete("tun0", "10.0.0.1").unwrap();
    fixture.add_v6("tun0", "fd00::1", 64, 0).unwrap();
    fixture.set_flags("tun0", UP).unwrap();
    fixture.write(&tun, &[0, 0, 0, 2], V4).unwrap();
    let _ = fixture.read(&tun);
    fixture.interfaces().unwrap();
    drop(tun);
    let expected = [
        "open /dev/tun0",
        "ioctl TUNSIFHEAD 1",
        "configure SIOCSIFMTU tun0 1400",
        "configure SIOCAIFADDR tun0 10.0.0.1/32 10.0.0.2",
        "configure SIOCDIFADDR tun0 10.0.0.1",
        "configure SIOCAIFADDR_IN6 tun0 fd00::1/64",
        "configure SIOCSIFFLAGS tun0 0x1",
        "write tun0 8",
        "nonblocking tun0",
        "read tun0",
        "interfaces",
        "close tun0",
    ];
    assert_eq!(fixture.calls(), expected);
    fixture.forget_calls();
    assert_eq!(fixture.calls(), [""; 0]);
}

#[test]
fn interfaces_are_listed_with_their_addresses() {
    for system in SYSTEMS {
        let (fixture, _tun) = ready(system);
        let found = fixture.interfaces().unwrap();
        assert_eq!((found[0].name.as_bytes(), found[0].index), (&b"lo0"[..], 1));
        let tun = found.iter().find(|one| one.name.as_bytes() == fixture.tun_name().as_bytes()).unwrap();
        assert_eq!(tun.addresses, fixture.addresses(fixture.tun_name()));
        let peer: IpAddr = [10, 0, 0, 2].into();
        assert_eq!(tun.addresses[0].destination, Some(peer));
    }
}

/// The requests of a system to devices of one kind, or of any, by what C calls them.
fn device_requests(fixture: &Fixture, is_tap: bool) -> Vec<(Option<Request>, &'static str)> {
    let requests = fixture.abi.requests;
    let common = [(Some(requests.set_nonblocking), "FIONBIO"), (Some(requests.waiting), "FIONREAD")];
    let own = if is_tap {
        vec![
            (requests.tap_name, "TAPGIFNAME"),
            (requests.tap_set_info, "TAPSIFINFO"),
            (requests.tap_set_vnet_header, "TAPSVNETHDR"),
            (requests.tap_get_vnet_header, "TAPGVNETHDR"),
            (requests.set_transient, "TAPSTRANSIENT"),
        ]
    } else {
        vec![
            (requests.tun_set_head, "TUNSIFHEAD"),
            (requests.tun_get_head, "TUNGIFHEAD"),
            (requests.tun_set_mode, "TUNSIFMODE"),
            (requests.tun_set_link_mode, "TUNSLMODE"),
            (requests.tun_set_info, "TUNSIFINFO"),
            (requests.tun_get_info, "TUNGIFINFO"),
            (requests.tun_name, "TUNGIFNAME"),
            (requests.set_transient, "TUNSTRANSIENT"),
            (requests.control_info, "CTLIOCGINFO"),
        ]
    };
    [&common[..], &own].concat()
}

fn socket_requests(fixture: &Fixture) -> [(Option<Request>, &'static str); 14] {
    let requests = fixture.abi.requests;
    [
        (Some(requests.get_flags), "SIOCGIFFLAGS"),
        (Some(requests.set_flags), "SIOCSIFFLAGS"),
        (Some(requests.get_mtu), "SIOCGIFMTU"),
        (Some(requests.set_mtu), "SIOCSIFMTU"),
        (Some(requests.create), "SIOCIFCREATE"),
        (Some(requests.destroy), "SIOCIFDESTROY"),
        (Some(requests.add_address), "SIOCAIFADDR"),
        (Some(requests.delete_address), "SIOCDIFADDR"),
        (Some(requests.add_address_v6), "SIOCAIFADDR_IN6"),
        (Some(requests.delete_address_v6), "SIOCDIFADDR_IN6"),
        (Some(requests.get_address_flags_v6), "SIOCGIFAFLAG_IN6"),
        (requests.attach_family, "SIOCIFAFATTACH"),
        (requests.set_mac, "SIOCSIFLLADDR"),
        (requests.set_link_address, "SIOCALIFADDR"),
    ]
}

#[test]
fn a_request_is_the_one_that_it_is_taken_for() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let tap = fixture.create("tap0").is_ok() || fixture.report("tap0").is_some();
        let devices = [Some((fixture.tun(), false)), tap.then(|| (fixture.open("/dev/tap0"), true))];
        for (device, is_tap) in devices.iter().flatten() {
            for (request, called) in device_requests(&fixture, *is_tap) {
                let Some(request) = request else { continue };
                fixture.forget_calls();
                let _ = fixture.ioctl(device, request, request.zeroed());
                assert_eq!(fixture.calls()[0].split(' ').nth(1), Some(called), "{system:?}");
            }
        }
        for (request, called) in socket_requests(&fixture) {
            let Some(request) = request else { continue };
            fixture.forget_calls();
            let _ = fixture.request(request, request.zeroed());
            assert_eq!(fixture.calls()[0].split(' ').nth(1), Some(called), "{system:?}");
        }
    }
}

#[test]
fn a_waiter_is_woken_when_the_device_goes_but_on_netbsd() {
    let (fixture, tun) = ready(System::OpenBsd);
    let reading = thread::scope(|scope| {
        let reading =
            scope.spawn(|| fixture.model.read(&tun, &mut [IoSliceMut::new(&mut [0; 100])]).map_err(errno));
        while !fixture.calls().iter().any(|call| call == "read tun0") {
            thread::yield_now();
        }
        fixture.destroy_by_another("tun0").unwrap();
        reading.join().unwrap()
    });
    assert_eq!(reading, Err(EIO));
    assert!(is_readable(&tun));
    // Fact: a poll says nothing, and only a read does.
    let (fixture, tun) = ready(System::NetBsd);
    fixture.destroy_by_another("tun0").unwrap();
    assert!(!is_readable(&tun));
    assert_eq!(fixture.read(&tun), Err(ENXIO));
}

#[test]
fn only_macos_has_kernel_controls() {
    for system in SYSTEMS {
        let connected = Fixture::new(system).model.connect("com.apple.net.utun_control", 0).map(drop);
        let expected = if system == System::MacOs { Ok(()) } else { Err(EAFNOSUPPORT) };
        assert_eq!(connected.map_err(errno), expected, "{system:?}");
    }
}
