//! How the systems differ beyond numbers and layouts, as data, so that the code is the same for all.

use tunctl_core::{Layer, NamePattern};
use tunctl_packet::header::System;
use tunctl_sys::bsd::{self, Abi, Name, Pair, Request};

use crate::errno;
use crate::wait::WaitMethod;

/// The rules of one system.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) system: System,
    pub(crate) abi: &'static Abi,
    tun: Kind,
    tap: Kind,
    /// The interfaces of a third-party driver. A request for one of its names creates one of these.
    third_party: &'static [Kind],
    /// Whether a tun's address is added twice: in 2016, reads of a NetBSD tun failed with `EHOSTDOWN` until
    /// the same SIOCAIFADDR was repeated.
    pub(crate) adds_addresses_twice: bool,
    /// Whether a tun that is down can be set to lead to one peer, or to be of a network. OpenBSD has the
    /// request, and takes nothing but what is (`tun_dev_ioctl`); macOS has none.
    pub(crate) sets_mode: bool,
    /// Whether a program can decide what outlives its last device. On the other systems, only interfaces
    /// created by hand do.
    pub(crate) sets_persistence: bool,
    /// How it can be shown which interface a descriptor is of, in the order in which it is tried.
    pub(crate) proofs: &'static [Proof],
    /// Whether a renamed interface is listed with the name that it was created with.
    pub(crate) lists_original_names: bool,
}

/// How a system implements its tuns or its taps.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) layer: Layer,
    /// The name before the unit number.
    pub(crate) prefix: &'static str,
    pub(crate) create_method: CreateMethod,
    pub(crate) remove_policy: RemovePolicy,
    /// The request that returns the name of an open device. `None` where the node or the socket has the name.
    pub(crate) get_name: Option<Request>,
    /// The request that turns the AF header on. `None` for tuns that always have it, and for taps.
    pub(crate) set_af_header: Option<Request>,
    /// Whether packets have an AF header. A tap's frames never do.
    pub(crate) has_af_header: bool,
    /// The request that sets the length of the virtio-net header, where there is one.
    pub(crate) set_vnet_header: Option<Request>,
    pub(crate) wait_method: WaitMethod,
    /// The driver's own errno for a read or write while the interface is down, if other drivers use that
    /// errno for something else.
    pub(crate) errno_when_down: Option<i32>,
}

/// What shows which interface an open descriptor is of. `None`: this system lacks the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The socket option that reports a utun's name.
    SocketName,
    /// A request of the driver that reports the name.
    Name(Option<Request>),
    /// A request that only the driver of tuns answers. The unit is the node's minor number.
    Head(Option<Request>),
    /// A request that only the driver answers, with the kind of interface. The unit is the node's minor
    /// number.
    Info(Option<Request>),
}

/// The far end's unit in a `feth` pair, relative to the near end's. Other programs follow the same
/// convention.
pub(crate) const FAR_UNIT_OFFSET: u32 = 5000;

/// How an interface is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateMethod {
    /// By opening its node, or the cloning node, where there is one, which picks a free unit.
    OpenNode { cloning: Option<&'static str> },
    /// By SIOCIFCREATE; its node is opened afterwards.
    Request,
    /// By connecting a socket to the kernel control with this name.
    Socket { control: &'static str },
    /// By creating and connecting two Ethernets: one is the interface, the other carries a packet filter.
    Pair(Pair),
}

/// What removes an interface that is not persistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovePolicy {
    /// The kernel, when the last descriptor closes. This cannot be changed.
    OnLastClose,
    /// The kernel, once this request has asked for it. On kernels without the request, as `ByRequest`.
    Transient(Request),
    /// This program, after it closes the last descriptor. The kernel would keep the interface.
    ByRequest,
}

const fn tun(prefix: &'static str, create_method: CreateMethod, remove_policy: RemovePolicy) -> Kind {
    Kind {
        layer: Layer::Tun,
        prefix,
        create_method,
        remove_policy,
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
        sets_mode: true,
        sets_persistence: true,
        proofs: &[Proof::Name(bsd::freebsd::ABI.requests.tun_name)],
        lists_original_names: true,
    }
};

pub(crate) const NETBSD: Rules = Rules {
    system: System::NetBsd,
    abi: &bsd::netbsd::ABI,
    tun: Kind {
        set_af_header: bsd::netbsd::ABI.requests.tun_set_head,
        wait_method: WaitMethod::PollInSlices,
        ..tun("tun", CreateMethod::OpenNode { cloning: None }, RemovePolicy::ByRequest)
    },
    // A tap from the cloning node /dev/tap is always removed at close; one from SIOCIFCREATE can be
    // persistent.
    tap: Kind {
        get_name: bsd::netbsd::ABI.requests.tap_name,
        wait_method: WaitMethod::PollInSlices,
        ..tap("tap", CreateMethod::Request, RemovePolicy::ByRequest)
    },
    third_party: &[],
    adds_addresses_twice: true,
    sets_mode: true,
    sets_persistence: true,
    // A tun's `tunopen` takes the minor number for the unit.
    proofs: &[
        Proof::Name(bsd::netbsd::ABI.requests.tap_name),
        Proof::Head(bsd::netbsd::ABI.requests.tun_get_head),
    ],
    lists_original_names: false,
};

pub(crate) const OPENBSD: Rules = Rules {
    system: System::OpenBsd,
    abi: &bsd::openbsd::ABI,
    tun: tun("tun", CreateMethod::OpenNode { cloning: None }, RemovePolicy::OnLastClose),
    tap: tap("tap", CreateMethod::OpenNode { cloning: None }, RemovePolicy::OnLastClose),
    third_party: &[],
    adds_addresses_twice: false,
    sets_mode: false,
    sets_persistence: false,
    // `tun_dev_open` takes the minor number for the unit.
    proofs: &[Proof::Info(bsd::openbsd::ABI.requests.tun_get_info)],
    lists_original_names: false,
};

pub(crate) const DRAGONFLY: Rules = Rules {
    system: System::DragonFly,
    abi: &bsd::dragonfly::ABI,
    // The cloning node does not report which unit it picked.
    tun: Kind {
        set_af_header: bsd::dragonfly::ABI.requests.tun_set_head,
        ..tun("tun", CreateMethod::Request, RemovePolicy::ByRequest)
    },
    tap: tap("tap", CreateMethod::Request, RemovePolicy::ByRequest),
    third_party: &[],
    adds_addresses_twice: false,
    sets_mode: true,
    // What SIOCIFCREATE has made stays, with its addresses (`TUN_MANUALMAKE`), until it is destroyed.
    sets_persistence: true,
    // Tuns and taps have the same number for it.
    proofs: &[Proof::Name(bsd::dragonfly::ABI.requests.tun_name)],
    lists_original_names: false,
};

/// The third-party kernel extension `tuntaposx`, which provided tuns and taps before macOS had its own.
///
/// It can add an AF header, but then counts the header towards the MTU and may truncate a packet of that
/// length.
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
    sets_mode: false,
    sets_persistence: false,
    proofs: &[Proof::SocketName],
    lists_original_names: false,
};

/// Returns the rules of a system.
pub(crate) const fn rules(system: System) -> &'static Rules {
    match system {
        System::NetBsd => &NETBSD,
        System::OpenBsd => &OPENBSD,
        System::DragonFly => &DRAGONFLY,
        System::MacOs => &MACOS,
        // `System` is non-exhaustive. A test checks that every system has its own rules.
        _ => &FREEBSD,
    }
}

impl Rules {
    /// Returns the system's own kind for a layer.
    pub(crate) const fn kind(&self, layer: Layer) -> &Kind {
        match layer {
            Layer::Tun => &self.tun,
            Layer::Tap => &self.tap,
        }
    }

    /// Returns the kind for a layer and a requested name, which may be a third-party driver's.
    pub(crate) fn kind_for(&self, layer: Layer, pattern: Option<&NamePattern>) -> &Kind {
        let third_party = self
            .third_party
            .iter()
            .find(|kind| kind.layer == layer && pattern.is_some_and(|name| kind.accepts(name)));
        third_party.unwrap_or_else(|| self.kind(layer))
    }

    /// Returns the kind of an interface from its original name. The current name of a renamed one tells
    /// nothing.
    pub(crate) fn kind_of(&self, name: &[u8]) -> Option<&Kind> {
        [&self.tun, &self.tap].into_iter().chain(self.third_party).find(|kind| kind.unit(name).is_some())
    }

    /// Returns the far end of the pair whose near end has this name; `None` if the name is no near end.
    pub(crate) fn far_end(&self, name: &Name) -> Option<Name> {
        let kind = self
            .kind_of(name.as_bytes())
            .filter(|kind| matches!(kind.create_method, CreateMethod::Pair(_)))?;
        let far = kind.unit(name.as_bytes())? + FAR_UNIT_OFFSET;
        Name::new(kind.named(far).as_bytes())
    }
}

impl Kind {
    /// Returns the unit number in a name of this kind: digits without leading zeros.
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

    /// Whether a requested name belongs to this kind: the prefix and a number, or the prefix and `%d`.
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
    fn a_name_of_a_third_party_driver_selects_its_kind() {
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
