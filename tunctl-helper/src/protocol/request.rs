//! The request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tunctl_sys::linux::iff;

use super::MAGIC;

/// The bytes of an interface's name, with its NUL.
#[doc(alias = "IFNAMSIZ")]
pub const NAME_SIZE: usize = tunctl_sys::linux::NAME_SIZE;
/// The most addresses of a request.
pub const MAX_ADDRESSES: usize = 16;
/// The bytes of a request.
pub const REQUEST_SIZE: usize = ADDRESSES + MAX_ADDRESSES * ADDRESS_SIZE;
/// The creation flags that a request may have: the layer, and what headers the device has.
///
/// Several queues are not among them: until such an interface has its owner, anybody may attach to it.
pub const FLAGS: u16 = iff::TUN | iff::TAP | iff::NO_PI | iff::ONE_QUEUE | iff::VNET_HDR;

// Where each part begins.
const CREATION_FLAGS: usize = 8;
const SETTINGS: usize = 10;
const ADDRESS_COUNT: usize = 11;
const NAME: usize = 12;
const MTU: usize = 28;
const QUEUE_LENGTH: usize = 32;
const MAC: usize = 36;
const UNUSED: usize = 42;
const ADDRESSES: usize = 48;

const ADDRESS_SIZE: usize = 36;

// The bits of the settings.
const UP: u8 = 1;
const WITHOUT_DAD: u8 = 2;
const HAS_MTU: u8 = 4;
const HAS_QUEUE_LENGTH: u8 = 8;
const HAS_MAC: u8 = 16;
const ALL_SETTINGS: u8 = 31;

/// An interface, as a program wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The creation flags of `TUNSETIFF`: some of [`FLAGS`], among them one layer.
    pub flags: u16,
    /// The name, or a pattern that ends with `%d`, padded with NULs. Without one, the policy's first is
    /// taken.
    pub name: [u8; NAME_SIZE],
    /// The MTU, in bytes.
    pub mtu: Option<u32>,
    /// How many packets wait for the program at most.
    pub queue_length: Option<u32>,
    /// The MAC address of a tap.
    pub mac: Option<[u8; 6]>,
    /// The addresses.
    pub addresses: Addresses,
    /// Whether IPv6 addresses are added without asking whether another station has them.
    pub without_dad: bool,
    /// Whether the interface is brought up.
    pub up: bool,
}

/// Up to [`MAX_ADDRESSES`] addresses, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    slots: [Option<Address>; MAX_ADDRESSES],
}

/// An address with the length of its prefix, and perhaps the other end of a point-to-point link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface's own address.
    pub address: IpAddr,
    /// The length of the prefix, in bits. If there is a peer, it is the peer's network.
    pub prefix_length: u8,
    /// The other end, of the same family.
    pub peer: Option<IpAddr>,
}

/// The bytes are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A name in the form that a request has: padded with NULs. `None` if it leaves no room for one, or contains
/// one.
#[must_use]
pub fn name_field(name: &[u8]) -> Option<[u8; NAME_SIZE]> {
    let mut field = [0; NAME_SIZE];
    if name.len() >= NAME_SIZE || name.contains(&0) {
        return None;
    }
    field[..name.len()].copy_from_slice(name);
    Some(field)
}

impl Request {
    /// The name, up to its padding.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(NAME_SIZE);
        &self.name[..end]
    }

    /// The request as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; REQUEST_SIZE] {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let mut bytes = [0; REQUEST_SIZE];
        bytes[..CREATION_FLAGS].copy_from_slice(&MAGIC);
        bytes[CREATION_FLAGS..SETTINGS].copy_from_slice(&self.flags.to_ne_bytes());
        bytes[SETTINGS] = bit(self.up, UP)
            | bit(self.without_dad, WITHOUT_DAD)
            | bit(self.mtu.is_some(), HAS_MTU)
            | bit(self.queue_length.is_some(), HAS_QUEUE_LENGTH)
            | bit(self.mac.is_some(), HAS_MAC);
        bytes[NAME..MTU].copy_from_slice(&self.name);
        bytes[MTU..QUEUE_LENGTH].copy_from_slice(&self.mtu.unwrap_or_default().to_ne_bytes());
        bytes[QUEUE_LENGTH..MAC].copy_from_slice(&self.queue_length.unwrap_or_default().to_ne_bytes());
        bytes[MAC..UNUSED].copy_from_slice(&self.mac.unwrap_or_default());
        let (head, slots) = bytes.split_at_mut(ADDRESSES);
        for (slot, address) in slots.chunks_exact_mut(ADDRESS_SIZE).zip(self.addresses.iter()) {
            address.write(slot);
            head[ADDRESS_COUNT] += 1;
        }
        bytes
    }

    /// The request that the bytes are.
    ///
    /// Only their form is checked: whether the policy grants it, and whether the kernel does, is for others.
    ///
    /// # Errors
    ///
    /// [`Malformed`]: the length, the version, an unknown flag or setting, a name without NUL, or bytes that
    /// are not zero where nothing is said.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: &[u8; REQUEST_SIZE] = bytes.try_into().map_err(|_| Malformed)?;
        let settings = bytes[SETTINGS];
        let request = Self {
            flags: u16::from_ne_bytes(at(bytes, CREATION_FLAGS)),
            name: at(bytes, NAME),
            mtu: (settings & HAS_MTU != 0).then(|| u32::from_ne_bytes(at(bytes, MTU))),
            queue_length: (settings & HAS_QUEUE_LENGTH != 0)
                .then(|| u32::from_ne_bytes(at(bytes, QUEUE_LENGTH))),
            mac: (settings & HAS_MAC != 0).then(|| at(bytes, MAC)),
            addresses: Addresses::read(&bytes[ADDRESSES..], bytes[ADDRESS_COUNT])?,
            without_dad: settings & WITHOUT_DAD != 0,
            up: settings & UP != 0,
        };
        let layer = request.flags & (iff::TUN | iff::TAP);
        let has_one_layer = layer == iff::TUN || layer == iff::TAP;
        let is_known = settings & !ALL_SETTINGS == 0 && request.flags & !FLAGS == 0;
        let (name, padding) = request.name.split_at(request.name().len());
        let ends = name.len() < NAME_SIZE && padding.iter().all(|&byte| byte == 0);
        // Each byte that says nothing is zero exactly if the request writes the same bytes again.
        if bytes[..CREATION_FLAGS] == MAGIC
            && has_one_layer
            && is_known
            && ends
            && request.to_bytes() == *bytes
        {
            Ok(request)
        } else {
            Err(Malformed)
        }
    }
}

/// The bytes at an offset, as many as a number has.
fn at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut number = [0; N];
    number.copy_from_slice(&bytes[offset..offset + N]);
    number
}

impl Addresses {
    /// Adds an address behind the others. False if there are [`MAX_ADDRESSES`] already.
    #[must_use]
    pub fn push(&mut self, address: Address) -> bool {
        let free = self.slots.iter_mut().find(|slot| slot.is_none());
        free.map(|slot| *slot = Some(address)).is_some()
    }

    /// The addresses, in order.
    pub fn iter(&self) -> impl Iterator<Item = Address> + '_ {
        self.slots.iter().copied().flatten()
    }

    fn read(bytes: &[u8], count: u8) -> Result<Self, Malformed> {
        let mut addresses = Self::default();
        if usize::from(count) > MAX_ADDRESSES {
            return Err(Malformed);
        }
        for slot in bytes.chunks_exact(ADDRESS_SIZE).take(usize::from(count)) {
            if !addresses.push(Address::read(slot)?) {
                return Err(Malformed);
            }
        }
        Ok(addresses)
    }
}

// The parts of an address: family, length of the prefix, whether there is a peer, nothing; then 16 bytes each
// for the address and the peer, of which IPv4 uses the first four.
impl Address {
    const OWN: usize = 4;
    const PEER: usize = 20;

    fn write(&self, slot: &mut [u8]) {
        slot[0] = if self.address.is_ipv4() { 4 } else { 6 };
        slot[1] = self.prefix_length;
        slot[2] = u8::from(self.peer.is_some());
        write_ip(self.address, &mut slot[Self::OWN..Self::PEER]);
        if let Some(peer) = self.peer {
            write_ip(peer, &mut slot[Self::PEER..]);
        }
    }

    fn read(slot: &[u8]) -> Result<Self, Malformed> {
        let ip = |offset| match slot[0] {
            4 => Ok(IpAddr::V4(Ipv4Addr::from(at::<4>(slot, offset)))),
            6 => Ok(IpAddr::V6(Ipv6Addr::from(at::<16>(slot, offset)))),
            _ => Err(Malformed),
        };
        let address = ip(Self::OWN)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let peer = match slot[2] {
            0 => None,
            _ => Some(ip(Self::PEER)?),
        };
        if slot[1] > longest {
            return Err(Malformed);
        }
        Ok(Self { address, prefix_length: slot[1], peer })
    }
}

fn write_ip(address: IpAddr, place: &mut [u8]) {
    match address {
        IpAddr::V4(address) => place[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => place.copy_from_slice(&address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        let mut addresses = Addresses::default();
        let own = IpAddr::from([10, 8, 0, 1]);
        let ipv6 = IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, 1]);
        assert!(addresses.push(Address { address: own, prefix_length: 24, peer: None }));
        assert!(addresses.push(Address { address: ipv6, prefix_length: 128, peer: Some(ipv6) }));
        Request {
            flags: iff::TAP | iff::NO_PI,
            name: name_field(b"vpn%d").unwrap(),
            mtu: Some(1420),
            queue_length: Some(0),
            mac: Some([2, 0, 0, 0, 0, 1]),
            addresses,
            without_dad: true,
            up: true,
        }
    }

    #[test]
    fn a_request_is_itself_again() {
        let empty = Request {
            flags: iff::TUN,
            name: [0; NAME_SIZE],
            mtu: None,
            queue_length: None,
            mac: None,
            addresses: Addresses::default(),
            without_dad: false,
            up: false,
        };
        let mut full = request();
        let another = Address { address: IpAddr::from([10, 0, 0, 1]), prefix_length: 0, peer: None };
        while full.addresses.push(another) {}
        assert_eq!(full.addresses.iter().count(), MAX_ADDRESSES);
        for request in [empty, request(), full] {
            assert_eq!(Request::from_bytes(&request.to_bytes()), Ok(request));
        }
    }

    #[test]
    fn no_other_length_is_a_request() {
        let bytes = request().to_bytes();
        let longer = [&bytes[..], &[0]].concat();
        for wrong in [&[][..], &bytes[..1], &bytes[..REQUEST_SIZE - 1], &longer] {
            assert_eq!(Request::from_bytes(wrong), Err(Malformed), "{} bytes", wrong.len());
        }
    }

    #[test]
    fn each_byte_that_says_nothing_must_be_zero() {
        let bytes = request().to_bytes();
        let mut accepted = Vec::new();
        for offset in 0..REQUEST_SIZE {
            let mut other = bytes;
            other[offset] ^= 0x80;
            if let Ok(read) = Request::from_bytes(&other) {
                assert_ne!(read, request(), "byte {offset} says nothing");
                accepted.push(offset);
            }
        }
        // In the second half are the slots of addresses that the request has not.
        assert!(accepted.iter().all(|&offset| offset < ADDRESSES + 2 * ADDRESS_SIZE), "{accepted:?}");
    }

    #[test]
    fn values_that_no_request_has_are_refused() {
        let bytes = request().to_bytes();
        let changed = |offset: usize, value: u8| {
            let mut other = bytes;
            other[offset] = value;
            Request::from_bytes(&other)
        };
        for (what, offset, value) in [
            ("another protocol", 0, b'T'),
            ("another version", 7, 2),
            ("an unknown setting", SETTINGS, bytes[SETTINGS] | 32),
            ("a setting without its value", SETTINGS, bytes[SETTINGS] & !HAS_MTU),
            ("more addresses than there is room for", ADDRESS_COUNT, 17),
            ("more addresses than there are", ADDRESS_COUNT, 3),
            ("fewer addresses than there are", ADDRESS_COUNT, 1),
            ("a name without NUL", NAME + NAME_SIZE - 1, b'x'),
            ("a name behind a NUL", NAME + 10, b'x'),
            ("another family", ADDRESSES, 5),
            ("a prefix of 33 bits", ADDRESSES + 1, 33),
            ("a peer that is neither there nor not", ADDRESSES + 2, 2),
        ] {
            assert_eq!(changed(offset, value), Err(Malformed), "{what}");
        }
        for flags in [
            0,
            iff::TUN | iff::TAP,
            iff::TUN | iff::NAPI,
            iff::TUN | iff::MULTI_QUEUE,
            iff::TUN | iff::TUN_EXCL,
        ] {
            let other = Request { flags, ..request() };
            assert_eq!(Request::from_bytes(&other.to_bytes()), Err(Malformed), "{flags:#x}");
        }
    }
}
