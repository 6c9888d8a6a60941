//! The list of all cases.

use crate::{
    Case, Harness, addresses, adopting, applying, buffers, bulk, carrier, configuration, events, filtering,
    gone, indices, interface_handles, joining, large, lifetime, longer_headers, lookup, mac, mac_filtering,
    names, namespaces, napi, offloads, permission, persistence, queues, readiness, reading, refusal_order,
    renaming, replacing, segments, statistics, steering, stopping, strangers, unasked, virtio_net, watching,
    writing,
};

/// All cases, by subject.
#[must_use]
pub fn cases<H: Harness>() -> Vec<Case<H>> {
    [
        names::cases(),
        lifetime::cases(),
        adopting::cases(),
        indices::cases(),
        lookup::cases(),
        strangers::cases(),
        gone::cases(),
        namespaces::cases(),
        persistence::cases(),
        permission::cases(),
        refusal_order::cases(),
        queues::cases(),
        joining::cases(),
        offloads::cases(),
        steering::cases(),
        filtering::cases(),
        mac_filtering::cases(),
        reading::cases(),
        buffers::cases(),
        unasked::cases(),
        writing::cases(),
        virtio_net::cases(),
        bulk::cases(),
        large::cases(),
        segments::cases(),
        longer_headers::cases(),
        napi::cases(),
        statistics::cases(),
        readiness::cases(),
        stopping::cases(),
        configuration::cases(),
        interface_handles::cases(),
        addresses::cases(),
        replacing::cases(),
        applying::cases(),
        renaming::cases(),
        mac::cases(),
        events::cases(),
        watching::cases(),
        carrier::cases(),
    ]
    .concat()
}
