//! `RTM_*LINK`: interfaces.
//!
//! What the kernel says of one is read attribute by attribute, since it is full of what others chose: a name
//! or an alias need not be UTF-8, and one that is not must not hide the interface.

use std::ffi::CString;
use std::io;
use std::os::fd::RawFd;

use netlink_packet_core::{DefaultNla, NlasIterator};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use nix::errno::Errno;
use tunctl_core::{
    CreateFlags, Gid, InterfaceIndex, InterfaceInfo, InterfaceName, Layer, MacAddress, Mtu, Notification,
    State, Uid,
};
use tunctl_sys::linux::netlink::{LINK_HEADER_SIZE, LINK_UP, ifla, ifla_info, ifla_tun, rtm};
use tunctl_sys::linux::{NAME_SIZE, iff};

use super::{Answer, Netlink};

/// The family of a message that is no protocol's.
const AF_UNSPEC: u8 = 0;

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
        let mut question = LinkMessage::default();
        question.attributes.push(name_attribute(name));
        Ok(self.link(question)?.as_ref().and_then(parse))
    }

    /// `None`: there is no such interface here.
    pub(crate) fn link_by_index(&self, index: InterfaceIndex) -> io::Result<Option<Link>> {
        Ok(self.report(index)?.map(|(link, _)| link))
    }

    /// The same, with all else that the kernel reports of it.
    pub(crate) fn report(&self, index: InterfaceIndex) -> io::Result<Option<(Link, Answer)>> {
        let answer = self.link(link_message(index))?;
        Ok(answer.and_then(|answer| Some((parse(&answer)?, answer))))
    }

    /// How many packets from the program an interface has dropped (`rx_dropped`); `None` if it cannot be
    /// learnt.
    pub(crate) fn dropped_from_program(&self, index: InterfaceIndex) -> Option<u64> {
        let (_, answer) = self.report(index).ok()??;
        Some(answer.statistics().from_program.dropped)
    }

    /// The name of an interface of any kind; `None`: there is no such interface here.
    pub(crate) fn name_of(&self, index: InterfaceIndex) -> io::Result<Option<InterfaceName>> {
        let answer = self.link(link_message(index))?;
        Ok(answer.and_then(|answer| {
            let name = find(answer.payload.get(LINK_HEADER_SIZE..)?, ifla::IFNAME)?;
            InterfaceName::from_kernel(name.strip_suffix(&[0])?).ok()
        }))
    }

    fn link(&self, question: LinkMessage) -> io::Result<Option<Answer>> {
        match self.request(&RouteNetlinkMessage::GetLink(question)) {
            Ok(answers) => Ok(answers.into_iter().find(|answer| answer.kind == rtm::NEWLINK)),
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All TUN/TAP interfaces, by index.
    pub(crate) fn tun_links(&self) -> io::Result<Vec<InterfaceInfo>> {
        Ok(self.tun_reports()?.into_iter().map(|(info, _)| info).collect())
    }

    /// The same, each with all else that the kernel reports of it.
    pub(crate) fn tun_reports(&self) -> io::Result<Vec<(InterfaceInfo, Answer)>> {
        let answers = self.dump(&list_tun_links())?;
        let mut found: Vec<_> = answers
            .into_iter()
            .filter_map(|answer| match parse(&answer) {
                Some(Link::Tun(info)) => Some((info, answer)),
                _ => None,
            })
            .collect();
        found.sort_by_key(|(info, _)| info.index);
        Ok(found)
    }

    pub(crate) fn set_state(&self, index: InterfaceIndex, state: State) -> io::Result<()> {
        self.change_all(index, Vec::new(), Some(state))
    }

    /// Changes one property of an interface.
    pub(crate) fn change_link(&self, index: InterfaceIndex, property: LinkAttribute) -> io::Result<()> {
        self.change_all(index, vec![property], None)
    }

    /// Changes properties and the state of an interface, the MTU first (`do_setlink`, Linux 6.18). If one is
    /// refused, those before it stay changed.
    ///
    /// Each of these changes can be made twice: the second time, nothing is left to change.
    pub(crate) fn change_all(
        &self,
        index: InterfaceIndex,
        properties: Vec<LinkAttribute>,
        state: Option<State>,
    ) -> io::Result<()> {
        self.change(&link_change(index, properties, state), 0, || Ok(false))
    }

    /// Moves an interface to the network namespace behind a descriptor.
    pub(crate) fn move_link(&self, index: InterfaceIndex, namespace: RawFd) -> io::Result<()> {
        let mut change = link_message(index);
        change.attributes.push(LinkAttribute::NetNsFd(namespace));
        let is_gone = || Ok(!matches!(self.link_by_index(index)?, Some(Link::Tun(_))));
        self.change(&RouteNetlinkMessage::SetLink(change), 0, is_gone)
    }

    pub(crate) fn delete_link(&self, index: InterfaceIndex) -> io::Result<()> {
        let is_gone = || Ok(!matches!(self.link_by_index(index)?, Some(Link::Tun(_))));
        self.change(&RouteNetlinkMessage::DelLink(link_message(index)), 0, is_gone)
    }
}

/// The request for other properties and another state of an interface.
pub(super) fn link_change(
    index: InterfaceIndex,
    properties: Vec<LinkAttribute>,
    state: Option<State>,
) -> RouteNetlinkMessage {
    let mut change = link_message(index);
    change.attributes = properties;
    if let Some(state) = state {
        change.header.change_mask = LinkFlags::Up;
        change.header.flags = match state {
            State::Up => LinkFlags::Up,
            State::Down => LinkFlags::empty(),
        };
    }
    RouteNetlinkMessage::SetLink(change)
}

/// A name as it is, which need not be UTF-8.
pub(crate) fn name_attribute(name: &InterfaceName) -> LinkAttribute {
    let mut bytes = Vec::with_capacity(NAME_SIZE);
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    LinkAttribute::Other(DefaultNla::new(ifla::IFNAME, bytes))
}

/// A question for all TUN/TAP interfaces.
pub(super) fn list_tun_links() -> RouteNetlinkMessage {
    let mut question = LinkMessage::default();
    question.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Tun)]));
    RouteNetlinkMessage::GetLink(question)
}

pub(super) fn link_message(index: InterfaceIndex) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index.get();
    message
}

/// The text of an attribute: it ends at its NUL, or at the attribute's end.
pub(super) fn text(attribute: &[u8]) -> CString {
    CString::new(attribute.split(|&byte| byte == 0).next().unwrap_or_default()).unwrap_or_default()
}

/// What the kernel reports unasked about a TUN/TAP interface.
pub(super) fn notification(answer: &Answer) -> Option<Notification> {
    let (header, attributes) = answer.payload.split_first_chunk::<LINK_HEADER_SIZE>()?;
    // A bridge reports its ports in the same group, under its own family: one that leaves it as deleted.
    if header[0] != AF_UNSPEC {
        return None;
    }
    match (answer.kind, parse(answer)?) {
        (rtm::NEWLINK, Link::Tun(info)) => Some(Notification::Link(info)),
        (rtm::DELLINK, Link::Tun(info)) => {
            let moved = find(attributes, ifla::NEW_NETNSID).is_some();
            Some(Notification::Gone { index: info.index, moved })
        }
        _ => None,
    }
}

fn parse(answer: &Answer) -> Option<Link> {
    let (header, attributes) = answer.payload.split_first_chunk::<LINK_HEADER_SIZE>()?;
    // family, padding, hardware type, index, flags, change mask
    let &[_, _, _, _, i0, i1, i2, i3, f0, f1, f2, f3, ..] = header;
    let index = InterfaceIndex::new(u32::from_ne_bytes([i0, i1, i2, i3]))?;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    let Some(data) = find(attributes, ifla::LINKINFO).and_then(tun_data) else {
        return Some(Link::Other(index));
    };
    let name = find(attributes, ifla::IFNAME)?.strip_suffix(&[0])?;
    let name = InterfaceName::from_kernel(name).ok()?;
    let mtu = Mtu::from_kernel(word(attributes, ifla::MTU)?);
    let mut info = InterfaceInfo::new(name, index, layer(data)?, mtu);
    // A tun has no bytes there.
    info.mac = find(attributes, ifla::ADDRESS)
        .and_then(|octets| octets.try_into().ok())
        .map(MacAddress::from_kernel);
    info.state = if flags & LINK_UP == 0 { State::Down } else { State::Up };
    info.flags.set(CreateFlags::NO_PI, !is_set(data, ifla_tun::PI));
    info.flags.set(CreateFlags::VNET_HDR, is_set(data, ifla_tun::VNET_HDR));
    info.flags.set(CreateFlags::MULTI_QUEUE, is_set(data, ifla_tun::MULTI_QUEUE));
    info.queue_length = word(attributes, ifla::TXQLEN);
    info.persistent = is_set(data, ifla_tun::PERSIST);
    info.owner = word(data, ifla_tun::OWNER).and_then(Uid::new);
    info.group = word(data, ifla_tun::GROUP).and_then(Gid::new);
    info.carrier = byte(attributes, ifla::CARRIER).map(|on| on != 0);
    info.detached_queues = word(data, ifla_tun::NUM_DISABLED_QUEUES);
    info.queues = match word(data, ifla_tun::NUM_QUEUES) {
        Some(enabled) => Some(enabled + info.detached_queues.unwrap_or(0)),
        // The kernel counts queues only where there may be several. A single one switches the carrier on and
        // off, as programs do; and an interface that is not persistent is there because it has one.
        None => (info.carrier == Some(true) || !info.persistent).then_some(1),
    };
    Some(Link::Tun(info))
}

/// The attributes of the kind `tun`, if that is what it is.
fn tun_data(info: &[u8]) -> Option<&[u8]> {
    let kind = find(info, ifla_info::KIND)?;
    (kind.strip_suffix(&[0]).unwrap_or(kind) == b"tun").then(|| find(info, ifla_info::DATA))?
}

fn layer(data: &[u8]) -> Option<Layer> {
    match u16::from(byte(data, ifla_tun::TYPE)?) {
        iff::TUN => Some(Layer::Tun),
        iff::TAP => Some(Layer::Tap),
        _ => None,
    }
}

fn is_set(attributes: &[u8], kind: u16) -> bool {
    byte(attributes, kind).is_some_and(|value| value != 0)
}

pub(super) fn byte(attributes: &[u8], kind: u16) -> Option<u8> {
    find(attributes, kind)?.first().copied()
}

pub(super) fn word(attributes: &[u8], kind: u16) -> Option<u32> {
    find(attributes, kind)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// The value of the first attribute of that kind.
pub(super) fn find(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let found = NlasIterator::new(attributes).flatten().find(|attribute| attribute.kind() == kind)?;
    let length = usize::from(found.length());
    // Behind length and kind, which were checked to be there, and before what follows.
    found.into_inner().get(4..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn answer(kind: &[u8], name: &[u8]) -> Answer {
        let data =
            [attribute(ifla_tun::TYPE, &[2]), attribute(ifla_tun::OWNER, &7_u32.to_ne_bytes())].concat();
        let info = [attribute(ifla_info::KIND, kind), attribute(ifla_info::DATA, &data)].concat();
        let mut payload = vec![0; LINK_HEADER_SIZE];
        payload[4..8].copy_from_slice(&5_u32.to_ne_bytes());
        payload.extend(attribute(ifla::IFNAME, name));
        payload.extend(attribute(ifla::ADDRESS, &[2, 0, 0, 0, 0, 1]));
        payload.extend(attribute(ifla::MTU, &1500_u32.to_ne_bytes()));
        payload.extend(attribute(ifla::LINKINFO, &info));
        Answer { kind: rtm::NEWLINK, payload }
    }

    #[test]
    fn a_name_that_is_not_utf_8_does_not_hide_the_interface() {
        let Some(Link::Tun(info)) = parse(&answer(b"tun\0", b"x\xff\xfe\0")) else { panic!("no tun") };
        assert_eq!(info.name.as_bytes(), b"x\xff\xfe");
        assert_eq!((info.layer, info.owner, info.index.get()), (Layer::Tap, Uid::new(7), 5));
        assert_eq!(info.mac, Some(MacAddress::from_kernel([2, 0, 0, 0, 0, 1])));
    }

    #[test]
    fn other_kinds_and_cut_messages_are_told_apart() {
        assert!(matches!(parse(&answer(b"veth\0", b"v\0")), Some(Link::Other(_))));
        let whole = answer(b"tun\0", b"t\0").payload;
        for length in 0..whole.len() {
            let cut = Answer { kind: rtm::NEWLINK, payload: whole[..length].to_vec() };
            assert!(!matches!(parse(&cut), Some(Link::Tun(_))), "{length}");
        }
    }
}
