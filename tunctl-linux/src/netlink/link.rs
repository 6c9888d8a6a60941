//! `RTM_*LINK`: interfaces.

use std::io;

use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoTun, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use nix::errno::Errno;
use tunctl_core::{CreateFlags, Gid, InterfaceIndex, InterfaceInfo, InterfaceName, Layer, Mtu, State, Uid};
use tunctl_sys::linux::{NAME_SIZE, iff, ifla_tun};

use super::Netlink;

/// `IFLA_IFNAME`, sent as bytes: the name of an interface need not be UTF-8.
const IFLA_IFNAME: u16 = 3;

/// An interface, as far as this crate is concerned with it.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    Tun(InterfaceInfo),
    Other(InterfaceIndex),
}

impl Link {
    pub(crate) fn index(&self) -> InterfaceIndex {
        match self {
            Self::Tun(info) => info.index,
            Self::Other(index) => *index,
        }
    }
}

impl Netlink {
    /// `None`: there is no such interface here.
    pub(crate) fn link_by_name(&self, name: &InterfaceName) -> io::Result<Option<Link>> {
        let mut bytes = Vec::with_capacity(NAME_SIZE);
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        let mut question = LinkMessage::default();
        question.attributes.push(LinkAttribute::Other(DefaultNla::new(IFLA_IFNAME, bytes)));
        self.link(question)
    }

    /// `None`: there is no such interface here.
    pub(crate) fn link_by_index(&self, index: InterfaceIndex) -> io::Result<Option<Link>> {
        self.link(about(index))
    }

    fn link(&self, question: LinkMessage) -> io::Result<Option<Link>> {
        match self.request(RouteNetlinkMessage::GetLink(question), 0) {
            Ok(answers) => Ok(answers.iter().find_map(parse)),
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All TUN/TAP interfaces, by index.
    pub(crate) fn tun_links(&self) -> io::Result<Vec<InterfaceInfo>> {
        let mut question = LinkMessage::default();
        question.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Tun)]));
        let answers = self.dump(&RouteNetlinkMessage::GetLink(question))?;
        let mut found: Vec<_> = answers
            .iter()
            .filter_map(|answer| match parse(answer) {
                Some(Link::Tun(info)) => Some(info),
                _ => None,
            })
            .collect();
        found.sort_by_key(|info| info.index);
        Ok(found)
    }

    pub(crate) fn set_state(&self, index: InterfaceIndex, state: State) -> io::Result<()> {
        let mut change = about(index);
        change.header.change_mask = LinkFlags::Up;
        change.header.flags = match state {
            State::Up => LinkFlags::Up,
            State::Down => LinkFlags::empty(),
        };
        self.request(RouteNetlinkMessage::SetLink(change), 0).map(drop)
    }

    pub(crate) fn set_mtu(&self, index: InterfaceIndex, mtu: Mtu) -> io::Result<()> {
        let mut change = about(index);
        change.attributes.push(LinkAttribute::Mtu(mtu.get()));
        self.request(RouteNetlinkMessage::SetLink(change), 0).map(drop)
    }

    pub(crate) fn delete_link(&self, index: InterfaceIndex) -> io::Result<()> {
        self.request(RouteNetlinkMessage::DelLink(about(index)), 0).map(drop)
    }
}

fn about(index: InterfaceIndex) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index.get();
    message
}

fn parse(answer: &RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = answer else {
        return None;
    };
    let index = InterfaceIndex::new(message.header.index)?;
    let (mut name, mut mtu, mut carrier, mut tun) = (None, None, None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = InterfaceName::from_kernel(text.as_bytes()).ok(),
            LinkAttribute::Mtu(bytes) => mtu = Some(Mtu::from_kernel(*bytes)),
            LinkAttribute::Carrier(on) => carrier = Some(*on),
            LinkAttribute::LinkInfo(info) => tun = tun_data(info),
            _ => {}
        }
    }
    let Some(tun) = tun else {
        return Some(Link::Other(index));
    };
    let state = if message.header.flags.contains(LinkFlags::Up) { State::Up } else { State::Down };
    Some(Link::Tun(InterfaceInfo {
        name: name?,
        index,
        layer: tun.layer,
        flags: tun.flags,
        mtu: mtu?,
        state,
        persistent: tun.persistent,
        owner: tun.owner,
        group: tun.group,
        // The kernel counts queues only where there may be several; a single one switches the carrier on and off.
        queues: tun.queues.or(carrier.map(u32::from)),
    }))
}

struct TunData {
    layer: Layer,
    flags: CreateFlags,
    persistent: bool,
    owner: Option<Uid>,
    group: Option<Gid>,
    queues: Option<u32>,
}

fn tun_data(info: &[LinkInfo]) -> Option<TunData> {
    info.contains(&LinkInfo::Kind(InfoKind::Tun)).then_some(())?;
    let attributes = info.iter().find_map(|part| match part {
        LinkInfo::Data(InfoData::Tun(attributes)) => Some(attributes),
        _ => None,
    })?;
    let layer = match byte(attributes, ifla_tun::TYPE)? {
        kind if u16::from(kind) == iff::TUN => Layer::Tun,
        _ => Layer::Tap,
    };
    let is_set = |kind| byte(attributes, kind).is_some_and(|value| value != 0);
    let mut flags = CreateFlags::from(layer);
    flags.set(CreateFlags::NO_PI, !is_set(ifla_tun::PI));
    flags.set(CreateFlags::VNET_HDR, is_set(ifla_tun::VNET_HDR));
    flags.set(CreateFlags::MULTI_QUEUE, is_set(ifla_tun::MULTI_QUEUE));
    let enabled = word(attributes, ifla_tun::NUM_QUEUES);
    let disabled = word(attributes, ifla_tun::NUM_DISABLED_QUEUES);
    Some(TunData {
        layer,
        flags,
        persistent: is_set(ifla_tun::PERSIST),
        owner: word(attributes, ifla_tun::OWNER).and_then(Uid::new),
        group: word(attributes, ifla_tun::GROUP).and_then(Gid::new),
        queues: enabled.map(|enabled| enabled + disabled.unwrap_or(0)),
    })
}

fn byte(attributes: &[InfoTun], kind: u16) -> Option<u8> {
    value(attributes, kind).map(|[byte]| byte)
}

fn word(attributes: &[InfoTun], kind: u16) -> Option<u32> {
    value(attributes, kind).map(u32::from_ne_bytes)
}

fn value<const N: usize>(attributes: &[InfoTun], kind: u16) -> Option<[u8; N]> {
    let attribute = attributes.iter().find(|attribute| attribute.kind() == kind)?;
    let mut bytes = [0; N];
    (attribute.value_len() == N).then(|| attribute.emit_value(&mut bytes))?;
    Some(bytes)
}
