//! Which MAC addresses the frames to a tap may have.

/// The MAC addresses of the frames that a tap's system lets through
/// ([`set_mac_filter`](crate::Filters::set_mac_filter)).
///
/// A filter that would let nothing through, or that the system would silently turn off, cannot be built.
///
/// ```
/// use tunctl_core::MacFilter;
///
/// let filter = MacFilter::of([2, 0, 0, 0, 0, 1]).and([2, 0, 0, 0, 0, 2])?.and_all_groups();
/// assert!(filter.accepts([2, 0, 0, 0, 0, 1]));
/// assert!(filter.accepts([0xff; 6]), "a broadcast goes to a group, too");
/// assert!(!filter.accepts([2, 0, 0, 0, 0, 3]));
/// # Ok::<(), tunctl_core::InvalidMacFilter>(())
/// ```
///
/// # Platform
///
/// Linux compares eight addresses exactly, and keeps a hash of 64 bits of further groups. So of groups beyond
/// eight addresses, others than those named may pass.
#[doc(alias = "tun_filter")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MacFilter {
    /// At least one address, or all groups. Those of single stations come first, since they must be among
    /// the exact ones.
    addresses: Vec<[u8; 6]>,
    stations: usize,
    all_groups: bool,
}

/// How many addresses are compared exactly (`FLT_EXACT_COUNT`).
const EXACT: usize = 8;
/// How many addresses there may be at most.
const MOST: usize = 256;
/// The bit of the first byte that marks a group address.
const GROUP: u8 = 1;
/// The address of all stations.
const BROADCAST: [u8; 6] = [0xff; 6];

impl MacFilter {
    /// Lets frames to this address pass: one station's, or a group's.
    #[must_use]
    pub fn of(address: [u8; 6]) -> Self {
        Self { addresses: vec![address], stations: usize::from(!is_group(address)), all_groups: false }
    }

    /// Lets frames to all groups pass, broadcasts among them.
    #[doc(alias = "TUN_FLT_ALLMULTI")]
    #[must_use]
    pub fn of_all_groups() -> Self {
        // The system takes a filter without addresses for none.
        Self { addresses: vec![BROADCAST], stations: 0, all_groups: true }
    }

    /// Lets frames to this address pass as well.
    ///
    /// # Errors
    ///
    /// [`TooManyStations`](InvalidMacFilter::TooManyStations): the ninth address of a station.
    /// [`TooManyAddresses`](InvalidMacFilter::TooManyAddresses): the 257th address.
    pub fn and(mut self, address: [u8; 6]) -> Result<Self, InvalidMacFilter> {
        if self.addresses.contains(&address) {
            return Ok(self);
        }
        if self.addresses.len() == MOST {
            return Err(InvalidMacFilter::TooManyAddresses);
        }
        if is_group(address) {
            self.addresses.push(address);
            return Ok(self);
        }
        if self.stations == EXACT {
            return Err(InvalidMacFilter::TooManyStations);
        }
        self.addresses.insert(self.stations, address);
        self.stations += 1;
        Ok(self)
    }

    /// Lets frames to all groups pass as well, broadcasts among them.
    #[doc(alias = "TUN_FLT_ALLMULTI")]
    #[must_use]
    pub fn and_all_groups(mut self) -> Self {
        self.all_groups = true;
        self
    }

    /// The addresses in the order in which a system must be given them.
    #[must_use]
    pub fn addresses(&self) -> &[[u8; 6]] {
        &self.addresses
    }

    /// Whether frames to all groups pass.
    #[must_use]
    pub fn accepts_all_groups(&self) -> bool {
        self.all_groups
    }

    /// Whether Linux lets a frame to this address pass (`run_filter`, Linux 6.18).
    #[must_use]
    pub fn accepts(&self, destination: [u8; 6]) -> bool {
        let (exact, hashed) = self.addresses.split_at(self.addresses.len().min(EXACT));
        let has_hash = || hashed.iter().any(|&address| hash(address) == hash(destination));
        exact.contains(&destination) || (is_group(destination) && (self.all_groups || has_hash()))
    }
}

const fn is_group([first, ..]: [u8; 6]) -> bool {
    first & GROUP != 0
}

/// The bit that stands for an address: the six highest bits of its CRC (`addr_hash_set`, `ether_crc`).
fn hash(address: [u8; 6]) -> u32 {
    const POLYNOMIAL: u32 = 0x04c1_1db7;
    let mut crc = u32::MAX;
    for byte in address {
        for bit in 0..8 {
            let differs = (crc >> 31) ^ u32::from(byte >> bit & 1) != 0;
            crc = crc << 1 ^ if differs { POLYNOMIAL } else { 0 };
        }
    }
    crc >> 26
}

/// Why a filter cannot have another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMacFilter {
    /// A system compares eight addresses of stations; with more, Linux turns the filter off.
    #[error("a MAC filter has at most eight addresses of stations")]
    TooManyStations,
    /// There are 256 addresses at most.
    #[error("a MAC filter has at most 256 addresses")]
    TooManyAddresses,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(number: u8) -> [u8; 6] {
        [2, 0, 0, 0, 0, number]
    }

    fn group(number: u8) -> [u8; 6] {
        [1, 0, 0x5e, 0, 0, number]
    }

    #[test]
    fn stations_come_first_whatever_the_order() {
        let filter = MacFilter::of(group(1)).and(station(1)).unwrap().and(group(2)).unwrap();
        let filter = filter.and(station(2)).unwrap().and(station(1)).unwrap();
        assert_eq!(filter.addresses(), [station(1), station(2), group(1), group(2)]);
    }

    #[test]
    fn a_filter_that_would_be_turned_off_cannot_be_built() {
        let full = (1..8).try_fold(MacFilter::of(station(0)), |filter, number| filter.and(station(number)));
        let full = full.unwrap();
        assert_eq!(full.clone().and(station(8)), Err(InvalidMacFilter::TooManyStations));
        let mut filter = full.and_all_groups();
        for number in 0..248 {
            filter = filter.and(group(number)).unwrap();
        }
        assert_eq!(filter.and(group(248)), Err(InvalidMacFilter::TooManyAddresses));
        assert!(!MacFilter::of_all_groups().addresses().is_empty());
    }

    #[test]
    fn beyond_eight_addresses_groups_pass_by_their_hash() {
        let stations = (1..8).try_fold(MacFilter::of(station(0)), |filter, n| filter.and(station(n)));
        let filter = stations.unwrap().and(group(1)).unwrap();
        assert!(filter.accepts(group(1)) && filter.accepts(station(7)));
        let others = (0..=255).filter(|&number| filter.accepts(group(number)));
        assert!(others.clone().all(|number| hash(group(number)) == hash(group(1))));
        assert_eq!(others.count(), 4, "of 256 addresses, those with one of 64 hashes");
        assert!(!filter.accepts(BROADCAST) && !filter.accepts(station(9)));
    }
}
