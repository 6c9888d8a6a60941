//! From options to what the helper is asked.

use tunctl_core::{
    Cause, CreateFlags, CreateOptions, InterfaceAddress, Layer, MacAddress, Mtu, NamePattern, Reason, State,
};
use tunctl_helper::protocol::{Address, Addresses, FLAGS, MAX_ADDRESSES, NAME_SIZE, Request, name_field};

/// The request for an interface with these options, or why the helper has no such thing. What takes no right
/// is left out, since the program does it itself.
pub(super) fn of(options: &CreateOptions) -> Result<Request, Reason> {
    let config = options.get_config();
    if options.get_index().is_some() {
        return Err(unsupported("chooses no index", "Leave it to the kernel."));
    }
    if config.get_description().is_some_and(|text| !text.is_empty()) {
        let advice = "Leave it out: the helper describes its interfaces itself, to count them.";
        return Err(unsupported("takes no description", advice));
    }
    let name = options.get_name().map_or(&[][..], NamePattern::as_bytes);
    Ok(Request {
        flags: flags(options.get_flags())?,
        // A pattern holds at most 15 bytes and no NUL.
        name: name_field(name).unwrap_or([0; NAME_SIZE]),
        mtu: config.get_mtu().map(Mtu::get),
        queue_length: config.get_queue_length(),
        mac: config.get_mac().map(MacAddress::octets),
        addresses: addresses(config.get_addresses())?,
        // A tun has no neighbours to ask.
        without_dad: config.get_without_dad() || options.get_layer() == Layer::Tun,
        up: config.get_state() == Some(State::Up),
    })
}

fn flags(flags: CreateFlags) -> Result<u16, Reason> {
    // Each interface is a new one.
    let flags = flags - CreateFlags::TUN_EXCL;
    let known = CreateFlags::from_bits_truncate(FLAGS);
    if known.contains(flags) {
        return Ok(flags.bits());
    }
    let doing = format!("creates no interface with: {}", flags - known);
    Err(unsupported(&doing, "Leave it out."))
}

fn addresses(wanted: &[InterfaceAddress]) -> Result<Addresses, Reason> {
    let mut addresses = Addresses::default();
    for address in wanted {
        let (own, prefix_length, peer) = (address.address(), address.prefix_length(), address.peer());
        // The helper leaves the broadcast address to the rule by which it follows from the prefix.
        let derived = InterfaceAddress::new(own, prefix_length).ok().and_then(|plain| plain.broadcast());
        if address.broadcast() != derived.filter(|_| peer.is_none()) {
            return Err(unsupported("chooses no broadcast address", "Leave it to the prefix."));
        }
        if !addresses.push(Address { address: own, prefix_length, peer }) {
            let doing = format!("gives an interface no more than {MAX_ADDRESSES} addresses");
            return Err(unsupported(&doing, "Leave some out."));
        }
    }
    Ok(addresses)
}

/// The helper does not do that.
fn unsupported(what: &str, advice: &str) -> Reason {
    Reason::new(Cause::Unsupported)
        .with_detail(format!("tunctl-helper {what}"))
        .with_remedy(format!("{advice} Or use LinuxBackend with CAP_NET_ADMIN."))
}

#[cfg(test)]
mod tests {
    use tunctl_core::{InterfaceConfig, InterfaceIndex};

    use super::*;

    #[test]
    fn a_request_has_what_the_options_have() {
        let options = CreateOptions::tap().vnet_header(true).exclusive(true).name("vpn%d").mtu(1400);
        let options = options.queue_length(7).mac("02:00:00:00:00:01").address("10.8.0.1/24").up();
        let request = of(&options.address("10.8.0.3 peer 10.8.0.4/32").address("fd77::1/64")).unwrap();
        assert_eq!(request.flags, 0x4000 | 0x1000 | 0x0002);
        assert_eq!((request.name(), request.mtu, request.queue_length), (&b"vpn%d"[..], Some(1400), Some(7)));
        assert_eq!((request.mac, request.up), (Some([2, 0, 0, 0, 0, 1]), true));
        let addresses: Vec<_> = request.addresses.iter().collect();
        let of = |text: &str| text.parse().unwrap();
        assert_eq!(addresses.len(), 3);
        assert_eq!(
            addresses[1],
            Address { address: of("10.8.0.3"), prefix_length: 32, peer: Some(of("10.8.0.4")) }
        );
        assert!(!request.without_dad);
    }

    #[test]
    fn nothing_is_asked_that_the_options_do_not_name() {
        let request = of(&CreateOptions::tun()).unwrap();
        assert_eq!(
            (request.name(), request.mtu, request.queue_length, request.mac),
            (&[][..], None, None, None)
        );
        assert_eq!((request.addresses.iter().count(), request.up), (0, false));
        assert!(request.without_dad, "a tun asks no neighbours");
        assert!(!of(&CreateOptions::tap()).unwrap().without_dad);
        assert!(of(&CreateOptions::tap().without_dad(true)).unwrap().without_dad);
        // It is down already.
        let down = InterfaceConfig::new().state(State::Down).description("");
        assert!(!of(&CreateOptions::tun().config(down)).unwrap().up);
    }

    #[test]
    fn what_the_helper_does_not_do_is_said_in_a_sentence() {
        let address = |number: u8| InterfaceAddress::new([10, 8, 0, number], 24).unwrap();
        let other = address(1).with_broadcast(Some([10, 8, 0, 9].into())).unwrap();
        let none = address(1).with_broadcast(None).unwrap();
        let many = (1..=17).fold(CreateOptions::tun(), |options, number| options.address(address(number)));
        let index = InterfaceIndex::new(7).unwrap();
        let described = InterfaceConfig::new().description("uplink");
        for (options, what) in [
            (CreateOptions::tun().index(index), "index"),
            (CreateOptions::tun().config(described), "description"),
            (CreateOptions::tun().multi_queue(true), "multi_queue"),
            (CreateOptions::tun().napi(true), "napi"),
            (CreateOptions::tap().napi_fragments(true), "napi_frags"),
            (CreateOptions::tun().no_carrier(true), "no_carrier"),
            (CreateOptions::tun().backpressure(true), "backpressure"),
            (CreateOptions::tun().address(other), "broadcast"),
            (CreateOptions::tun().address(none), "broadcast"),
            (many, "16 addresses"),
        ] {
            let error = of(&options).unwrap_err().of(tunctl_core::Operation::Create);
            assert_eq!(error.cause(), Cause::Unsupported, "{what}");
            assert!(error.to_string().starts_with("create: tunctl-helper "), "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
