#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod well_formed;

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::mem::{Discriminant, discriminant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tunctl_core::{
    CreateFlags, CreateOptions, Interface, InterfaceAddress, InterfaceName, MacAddress, NamePattern,
    TunBackend, TunDevice,
};
use tunctl_packet::{Packet, Protocol};

use super::*;
use crate::MockBackend;

/// This number of values, the same in every run.
fn samples<T: fmt::Debug>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Shrinks some values as far as it goes, as if every simpler one failed too; hands each step to `see`.
fn shrink<T: fmt::Debug>(strategy: impl Strategy<Value = T>, mut see: impl FnMut(T)) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..5 {
        let mut tree = strategy.new_tree(&mut runner).unwrap();
        let mut steps = 0;
        while tree.simplify() {
            see(tree.current());
            steps += 1;
            assert!(steps < 20_000, "there is no end to it");
        }
    }
}

/// The kinds that occur, as `kind` names them.
fn kinds<T, K: Hash + Eq>(values: &[T], kind: impl FnMut(&T) -> K) -> HashSet<K> {
    values.iter().map(kind).collect()
}

#[test]
fn names_are_of_every_shape_and_are_read_again() {
    let names = samples(interface_names(), 1000);
    for name in &names {
        assert_eq!(InterfaceName::from_displayed(&name.to_string()), Ok(*name));
    }
    assert_eq!(kinds(&names, |name| name.as_bytes().len()), (1..=15).collect());
    assert!(names.iter().any(|name| !name.as_bytes().is_ascii()));
    assert!(names.iter().any(|name| name.as_bytes().contains(&b'"')));
    let patterns = samples(name_patterns(), 200);
    for pattern in &patterns {
        let text = str::from_utf8(pattern.as_bytes()).unwrap();
        assert_eq!(NamePattern::new(text), Ok(*pattern));
    }
    assert_eq!(kinds(&patterns, |pattern| pattern.exact().is_none()).len(), 2);
    shrink(interface_names(), drop);
    shrink(name_patterns(), drop);
}

#[test]
fn options_have_every_flag_on_and_off() {
    let options = samples(create_options(), 500);
    for flag in CreateFlags::all() - CreateFlags::OPTIONAL {
        assert_eq!(kinds(&options, |options| options.get_flags().contains(flag)).len(), 2, "{flag}");
    }
    assert_eq!(kinds(&options, |options| options.get_name().map(|name| name.exact().is_some())).len(), 3);
    shrink(create_options(), drop);
}

#[test]
fn mac_addresses_are_of_both_kinds() {
    let macs = samples(mac_addresses(), 500);
    let local = macs.iter().filter(|mac| mac.is_local()).count();
    assert!((150..350).contains(&local), "{local} of 500");
    assert!(macs.iter().all(|mac| MacAddress::new(mac.octets()) == Ok(*mac)));
}

#[test]
fn mtus_reach_from_the_least_to_the_greatest() {
    let mtus = samples(mtus(), 500);
    assert_eq!(mtus.iter().min().unwrap().get(), 68);
    assert_eq!(mtus.iter().max().unwrap().get(), 65535);
    assert!(kinds(&mtus, |mtu| mtu.get()).len() > 100);
}

#[test]
fn addresses_are_of_every_form() {
    let addresses = samples(interface_addresses(), 1000);
    for address in &addresses {
        // The text has no broadcast address.
        assert!(address.to_string().parse::<InterfaceAddress>().unwrap().same_as(address));
    }
    let form = |address: &InterfaceAddress| {
        (address.address().is_ipv4(), address.peer().is_some(), address.broadcast().is_some())
    };
    // IPv6 has no broadcast, and a peer none either.
    assert_eq!(kinds(&addresses, form).len(), 5);
    assert!(
        kinds(&addresses, InterfaceAddress::prefix_length)
            .is_superset(&HashSet::from([0, 8, 16, 24, 32, 64, 128]))
    );
    shrink(interface_addresses(), drop);
}

#[test]
fn hostile_packets_are_of_every_kind_and_do_no_harm() {
    for layer in [Layer::Tun, Layer::Tap] {
        let packets = samples(hostile_packets(layer), 1000);
        let parsed: Vec<_> = packets.iter().map(|packet| Packet::parse(layer, packet)).collect();
        assert!(packets.iter().any(Vec::is_empty));
        assert!(packets.iter().any(|packet| packet.len() > 65_575));
        assert!(packets.iter().any(|packet| packet.len() == 1));
        assert!(parsed.iter().flatten().any(|packet| packet.protocol() == Protocol::Tcp));
        let understood = parsed.iter().flatten().count();
        assert!((250..950).contains(&understood), "{understood}");
        let sound = packets.iter().filter(|packet| well_formed::fault(layer, packet).is_none()).count();
        // Bytes behind a packet are padding in a frame, and a frame that carries neither IP nor ARP can carry
        // anything.
        let most = if layer == Layer::Tun { 100 } else { 500 };
        assert!(sound < most, "{sound} of them are well-formed");
        if layer == Layer::Tun {
            let versions = kinds(&packets, |packet| packet.first().map(|first| first >> 4));
            assert_eq!(versions.len(), 17);
        }
        shrink(hostile_packets(layer), |packet| {
            let _ = Packet::parse(layer, &packet);
        });
    }
}

/// How many of the actions meet an interface that is gone or down, except those that repair it.
fn in_vain(actions: &[Action]) -> usize {
    let (mut there, mut up, mut missed) = (true, false, 0);
    for action in actions {
        match action {
            Action::Delete => there = false,
            Action::Reopen => (there, up) = (true, false),
            Action::Up(_) => up = there,
            Action::Down => up = false,
            _ => missed += usize::from(!there || !up),
        }
    }
    missed
}

#[test]
fn most_operations_meet_a_live_device() {
    let sequences = samples(operations(Layer::Tun, 0..100), 100);
    let actions: Vec<Action> = sequences.concat();
    let occurring: HashSet<Discriminant<Action>> = kinds(&actions, discriminant);
    assert_eq!(occurring.len(), 14);
    let missed: usize = sequences.iter().map(|sequence| in_vain(sequence)).sum();
    assert!((1..actions.len() / 10).contains(&missed), "{missed} of {}", actions.len());
    let packets = actions.iter().filter_map(|action| match action {
        Action::Inject(packet) => Some(packet),
        _ => None,
    });
    for packet in packets {
        assert_eq!(well_formed::fault(Layer::Tun, packet), None);
    }
    assert!(sequences.iter().all(|sequence| matches!(sequence[0], Action::Up(_))));
}

/// What becomes of a sequence on the mock: how many actions succeed, and what the program received.
fn perform(layer: Layer, actions: &[Action]) -> (usize, Vec<Vec<u8>>) {
    let kernel = MockBackend::new();
    let options = if layer == Layer::Tun { CreateOptions::tun() } else { CreateOptions::tap() };
    let options = options.name("vpn0");
    let mut device = kernel.create(&options).unwrap();
    let (mut succeeded, mut received) = (0, Vec::new());
    for action in actions {
        let outcome = match action {
            Action::Send(packet) => device.try_send(packet).map(drop),
            Action::Receive(size) => {
                let mut buffer = vec![0; *size];
                device.try_recv(&mut buffer).map(|length| received.push(buffer[..length].to_vec()))
            }
            Action::Inject(packet) => {
                kernel.inject(&device, packet);
                Ok(())
            }
            Action::Up(address) => device.up(*address),
            Action::Down => device.down(),
            Action::SetMtu(mtu) => device.interface().set_mtu(*mtu),
            Action::SetMac(mac) => device.interface().set_mac(*mac),
            Action::AddAddress(address) => device.interface().add_address(*address).map(drop),
            Action::RemoveAddress(address) => device.interface().remove_address(*address),
            Action::ReplaceAddresses(addresses) => device.interface().replace_addresses(addresses),
            Action::Persist(on) => device.set_persist(*on),
            Action::Rename(name) => kernel.rename(&device, *name),
            Action::Delete => {
                kernel.delete(&device);
                Ok(())
            }
            Action::Reopen => {
                drop(device);
                device = kernel.open_or_create(&options).unwrap();
                Ok(())
            }
        };
        succeeded += usize::from(outcome.is_ok());
    }
    (succeeded, received)
}

#[test]
fn on_the_mock_most_operations_succeed_and_what_is_received_was_injected() {
    for layer in [Layer::Tun, Layer::Tap] {
        let (mut all, mut succeeded, mut packets) = (0, 0, 0);
        for actions in samples(operations(layer, 0..100), 50) {
            let (done, received) = perform(layer, &actions);
            let mut injected = actions.iter().filter_map(|action| match action {
                Action::Inject(packet) => Some(packet),
                _ => None,
            });
            for packet in received.iter().filter(|packet| !packet.is_empty()) {
                assert!(injected.any(|whole| whole.starts_with(packet)), "{packet:02x?}");
                packets += 1;
            }
            (all, succeeded) = (all + actions.len(), succeeded + done);
        }
        assert!(succeeded * 10 > all * 6 && packets * 20 > all, "{succeeded} of {all}, {packets} received");
    }
}

#[test]
fn shrunk_operations_are_set_right_again_all_the_same() {
    let mut runner = TestRunner::deterministic();
    let mut tree = operations(Layer::Tap, 1..20).new_tree(&mut runner).unwrap();
    let mut steps = 0;
    while tree.simplify() {
        let actions = tree.current();
        let last = |wanted: fn(&Action) -> bool| actions.iter().rposition(wanted);
        let up = last(|action| matches!(action, Action::Up(_)));
        assert!(up > last(|action| matches!(action, Action::Down)));
        assert!(
            last(|action| matches!(action, Action::Reopen))
                >= last(|action| matches!(action, Action::Delete))
        );
        steps += 1;
        assert!(steps < 50_000, "there is no end to it");
    }
    assert_eq!(tree.current().len(), 2, "one step remains of those that must be: {:?}", tree.current());
}
