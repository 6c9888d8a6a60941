//! In what the systems differ, beside numbers and layouts: data, so that the rules stay one text.

use tunctl_core::{Layer, NamePattern, Operation};
use tunctl_packet::header::System;
use tunctl_sys::bsd::{self, Abi, Name, Pair, Request};

use crate::errno;
use crate::wait::WaitMethod;

/// What is known of a system.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) system: System,
    pub(crate) abi: &'static Abi,
    tun: Kind,
    tap: Kind,
    /// Those of another driver, which is another's to install: who asks for its names, gets them.
    third_party: &'static [Kind],
    /// Whether an address of a tun is added twice. An old kernel of NetBSD did not take packets after the first time; after the same
    /// request once more, it did.
    pub(crate) adds_addresses_twice: bool,
    /// Operations of this backend that it has no way to do.
    pub(crate) lacks: &'static [Operation],
}

/// How a system has tuns, or taps.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) layer: Layer,
    /// What interfaces of this kind are called, before their number.
    pub(crate) prefix: &'static str,
    pub(crate) create_method: CreateMethod,
    pub(crate) remove_policy: RemovePolicy,
    /// The first unit that is not there from the start.
    pub(crate) first_unit: u32,
    /// How its device tells its name; `None`: it is the node's, or the socket's.
    pub(crate) get_name: Option<Request>,
    /// What has it put the address family in front of a packet; `None`: it does so by itself, or is a tap.
    pub(crate) set_af_header: Option<Request>,
    /// Whether packets have the address family in front; frames never do.
    pub(crate) has_af_header: bool,
    /// What has it put a virtio-net header in front of a frame, if it can.
    pub(crate) set_vnet_header: Option<Request>,
    pub(crate) wait_method: WaitMethod,
    /// What it says of a read or a write while the interface is down, where others mean something else by that.
    pub(crate) errno_when_down: Option<i32>,
}

/// Of a pair of Ethernets, the unit of the far end is that of the near one and so much more. Other programs keep to it, too.
pub(crate) const FAR_UNIT_OFFSET: u32 = 5000;

/// How an interface comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateMethod {
    /// By opening the node of its unit; or the node of all, where there is one, which takes a free unit.
    OpenNode { cloning: Option<&'static str> },
    /// By a request, and then its node is opened.
    Request,
    /// By connecting a socket to the kernel control of this name.
    Socket { control: &'static str },
    /// By making two Ethernets and connecting them: one is the interface, and at the far end there is a packet filter.
    Pair(Pair),
}

/// How an interface ends that is not persistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovePolicy {
    /// The kernel removes it with its last descriptor, whatever is asked.
    OnLastClose,
    /// The same, if this request has asked for it; where the kernel does not know the request, as `ByRequest`.
    Transient(Request),
    /// It would stay: this program removes it after it has closed the last descriptor.
    ByRequest,
}

const fn tun(prefix: &'static str, create_method: CreateMethod, remove_policy: RemovePolicy) -> Kind {
    Kind {
        layer: Layer::Tun,
        prefix,
        create_method,
        remove_policy,
        first_unit: 0,
        get_name: None,
        set_af_header: None,
        has_af_header: true,
        set_vnet_header: None,
        wait_method: WaitMethod::Poll,
        errno_when_down: None,
    }
}

const fn tap(prefix: &'static str, create_method: CreateMethod, remove_policy: RemovePolicy) -> Kind {
    Kind { layer: Layer::Tap, has_af_header: false, ..tun(prefix, create_method, remove_policy) }
}

pub(crate) const FREEBSD: Rules = {
    let abi = &bsd::freebsd::ABI;
    let remove_policy = match abi.requests.set_transient {
        Some(request) => RemovePolicy::Transient(request),
        None => RemovePolicy::ByRequest,
    };
    Rules {
        system: System::FreeBsd,
        abi,
        tun: Kind {
            get_name: abi.requests.tun_name,
            set_af_header: abi.requests.tun_set_head,
            ..tun("tun", CreateMethod::OpenNode { cloning: Some("/dev/tun") }, remove_policy)
        },
        tap: Kind {
            get_name: abi.requests.tap_name,
            set_vnet_header: abi.requests.tap_set_vnet_header,
            ..tap("tap", CreateMethod::OpenNode { cloning: Some("/dev/tap") }, remove_policy)
        },
        third_party: &[],
        adds_addresses_twice: false,
        lacks: &[],
    }
};

pub(crate) const NETBSD: Rules = Rules {
    system: System::NetBsd,
    abi: &bsd::netbsd::ABI,
    tun: Kind {
        set_af_header: bsd::netbsd::ABI.requests.tun_set_head,
        ..tun("tun", CreateMethod::OpenNode { cloning: None }, RemovePolicy::ByRequest)
    },
    // The node of all makes one that always goes; by request it can be persistent.
    tap: Kind {
        get_name: bsd::netbsd::ABI.requests.tap_name,
        ..tap("tap", CreateMethod::Request, RemovePolicy::ByRequest)
    },
    third_party: &[],
    adds_addresses_twice: true,
    lacks: &[Operation::Rename],
};

pub(crate) const OPENBSD: Rules = Rules {
    system: System::OpenBsd,
    abi: &bsd::openbsd::ABI,
    tun: tun("tun", CreateMethod::OpenNode { cloning: None }, RemovePolicy::OnLastClose),
    tap: tap("tap", CreateMethod::OpenNode { cloning: None }, RemovePolicy::OnLastClose),
    third_party: &[],
    adds_addresses_twice: false,
    // What is persistent there was made so by hand; so on the two below.
    lacks: &[Operation::SetPersist, Operation::Rename],
};

pub(crate) const DRAGONFLY: Rules = Rules {
    system: System::DragonFly,
    abi: &bsd::dragonfly::ABI,
    // Units 0 to 3 are there from the start, and stay. The node of all does not tell which unit it gave.
    tun: Kind {
        first_unit: 4,
        set_af_header: bsd::dragonfly::ABI.requests.tun_set_head,
        ..tun("tun", CreateMethod::Request, RemovePolicy::ByRequest)
    },
    tap: Kind { first_unit: 4, ..tap("tap", CreateMethod::Request, RemovePolicy::OnLastClose) },
    third_party: &[],
    adds_addresses_twice: false,
    lacks: &[Operation::SetPersist],
};

/// The kernel extension that macOS had tuns and taps by before it had its own. It can put the address family in front, but then may cut a
/// packet as long as the MTU, for which it counts those bytes.
const TUNTAPOSX: Kind = Kind {
    has_af_header: false,
    wait_method: WaitMethod::Select,
    errno_when_down: Some(errno::EIO),
    ..tun("tun", CreateMethod::OpenNode { cloning: None }, RemovePolicy::OnLastClose)
};

pub(crate) const MACOS: Rules = Rules {
    system: System::MacOs,
    abi: &bsd::macos::ABI,
    tun: tun(
        "utun",
        CreateMethod::Socket { control: bsd::macos::UTUN_CONTROL_NAME },
        RemovePolicy::OnLastClose,
    ),
    tap: tap("feth", CreateMethod::Pair(bsd::macos::PAIR), RemovePolicy::ByRequest),
    third_party: &[TUNTAPOSX, Kind { layer: Layer::Tap, prefix: "tap", ..TUNTAPOSX }],
    adds_addresses_twice: false,
    lacks: &[Operation::SetPersist, Operation::Rename],
};

/// The rules of a system.
pub(crate) const fn rules(system: System) -> &'static Rules {
    match system {
        System::NetBsd => &NETBSD,
        System::OpenBsd => &OPENBSD,
        System::DragonFly => &DRAGONFLY,
        System::MacOs => &MACOS,
        // Whatever is added there later has its rules added here: a test asks for each.
        _ => &FREEBSD,
    }
}

impl Rules {
    /// How interfaces of a layer are made, whatever they are called.
    pub(crate) const fn kind(&self, layer: Layer) -> &Kind {
        match layer {
            Layer::Tun => &self.tun,
            Layer::Tap => &self.tap,
        }
    }

    /// The same, if they are to be called so.
    pub(crate) fn kind_for(&self, layer: Layer, pattern: Option<&NamePattern>) -> &Kind {
        let third_party = self
            .third_party
            .iter()
            .find(|kind| kind.layer == layer && pattern.is_some_and(|name| kind.accepts(name)));
        third_party.unwrap_or_else(|| self.kind(layer))
    }

    /// What an interface is that was made under this name; renamed ones are not told by theirs.
    pub(crate) fn kind_of(&self, name: &[u8]) -> Option<&Kind> {
        [&self.tun, &self.tap].into_iter().chain(self.third_party).find(|kind| kind.unit(name).is_some())
    }

    /// The far end of the pair whose near end has this name, if it is one.
    pub(crate) fn far_end(&self, name: &Name) -> Option<Name> {
        let kind = self
            .kind_of(name.as_bytes())
            .filter(|kind| matches!(kind.create_method, CreateMethod::Pair(_)))?;
        let far = kind.unit(name.as_bytes())? + FAR_UNIT_OFFSET;
        Name::new(kind.named(far).as_bytes())
    }
}

impl Kind {
    /// The unit in a name, if it is one of this kind: digits, without zeros in front.
    pub(crate) fn unit(&self, name: &[u8]) -> Option<u32> {
        let digits = name.strip_prefix(self.prefix.as_bytes())?;
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        if !is_number || (digits.len() > 1 && digits[0] == b'0') {
            return None;
        }
        let unit = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let is_far = matches!(self.create_method, CreateMethod::Pair(_)) && unit >= FAR_UNIT_OFFSET;
        (!is_far).then_some(unit)
    }

    /// Whether a name that is asked for is one of this kind, or leaves it the number.
    fn accepts(&self, pattern: &NamePattern) -> bool {
        match pattern.exact() {
            Some(name) => self.unit(name.as_bytes()).is_some(),
            None => pattern.as_bytes().strip_prefix(self.prefix.as_bytes()) == Some(b"%d"),
        }
    }

    pub(crate) fn named(&self, unit: u32) -> String {
        format!("{}{unit}", self.prefix)
    }

    pub(crate) fn node(&self, unit: u32) -> String {
        format!("/dev/{}{unit}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer_of(rules: &Rules, name: &[u8]) -> Option<Layer> {
        rules.kind_of(name).map(|kind| kind.layer)
    }

    #[test]
    fn units_are_read_from_names() {
        let unit = |name: &str| FREEBSD.tun.unit(name.as_bytes());
        assert_eq!([unit("tun0"), unit("tun17")], [Some(0), Some(17)]);
        for none in ["tun", "tun01", "tun-1", "tap0", "tun0x", "vpn0", "tun99999999999"] {
            assert_eq!(unit(none), None, "{none}");
        }
        assert_eq!(MACOS.tun.unit(b"utun3"), Some(3));
        assert_eq!(layer_of(&NETBSD, b"tap2"), Some(Layer::Tap));
        assert_eq!(layer_of(&MACOS, b"tap2"), Some(Layer::Tap));
        assert_eq!(layer_of(&MACOS, b"lo0"), None);
    }

    #[test]
    fn who_asks_for_a_name_of_an_older_driver_gets_its_kind() {
        let prefix = |layer, name: &str| MACOS.kind_for(layer, Some(&name.parse().unwrap())).prefix;
        for (name, tun, tap) in [
            ("tun0", "tun", "feth"),
            ("tun%d", "tun", "feth"),
            ("tap3", "utun", "tap"),
            ("tap%d", "utun", "tap"),
            ("utun3", "utun", "feth"),
            ("tun%d1", "utun", "feth"),
            ("vpn0", "utun", "feth"),
        ] {
            assert_eq!((prefix(Layer::Tun, name), prefix(Layer::Tap, name)), (tun, tap), "{name}");
        }
        assert_eq!(MACOS.kind_for(Layer::Tap, None).prefix, "feth");
        assert_eq!(FREEBSD.kind_for(Layer::Tun, Some(&"tap0".parse().unwrap())).prefix, "tun");
    }

    #[test]
    fn a_pair_has_a_near_end_and_a_far_one() {
        let far = |name: &[u8]| MACOS.far_end(&Name::new(name).unwrap()).map(|far| far.as_bytes().to_vec());
        assert_eq!(far(b"feth0"), Some(b"feth5000".to_vec()));
        assert_eq!(far(b"feth4999"), Some(b"feth9999".to_vec()));
        for none in [&b"feth5000"[..], b"feth", b"utun3", b"tap0", b"tun0"] {
            assert_eq!(far(none), None);
        }
        assert_eq!(layer_of(&MACOS, b"feth4999"), Some(Layer::Tap));
        assert_eq!(layer_of(&MACOS, b"feth5000"), None);
        assert_eq!(FREEBSD.far_end(&Name::new(b"tap0").unwrap()), None);
    }

    #[test]
    fn each_system_has_its_own_rules() {
        for system in [System::FreeBsd, System::NetBsd, System::OpenBsd, System::DragonFly, System::MacOs] {
            assert_eq!(rules(system).system, system);
        }
    }
}
