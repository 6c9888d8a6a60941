//! Rows that are not proved, because no header at hand defines them.

/// A header that is not to be had, and the rows that it would prove.
pub(super) struct Absent {
    pub(super) header: &'static str,
    pub(super) rows: &'static [&'static str],
}

/// zig brings a part of the headers of macOS along.
pub(super) const MACOS: &[Absent] = &[
    Absent { header: "sys/sys_domain.h", rows: &["AF_SYS_CONTROL", "SYSPROTO_CONTROL"] },
    Absent {
        header: "net/if_fake_var.h",
        rows: &[
            "IF_FAKE_S_CMD_SET_PEER",
            "sizeof(struct if_fake_request)",
            "offsetof(struct if_fake_request, iffr_reserved)",
            "offsetof(struct if_fake_request, iffr_u)",
        ],
    },
    Absent { header: "netinet6/nd6.h", rows: &["ND6_INFINITE_LIFETIME"] },
    Absent {
        header: "netinet6/in6_var.h",
        rows: &[
            "IN6_IFF_TENTATIVE",
            "IN6_IFF_DUPLICATED",
            "IN6_IFF_NODAD",
            "SIOCAIFADDR_IN6",
            "SIOCDIFADDR_IN6",
            "SIOCGIFAFLAG_IN6",
            "sizeof(struct in6_ifreq)",
            "offsetof(struct in6_ifreq, ifr_name)",
            "offsetof(struct in6_ifreq, ifr_ifru)",
            "offsetof(struct in6_ifreq, ifr_ifru.ifru_flags6)",
            "sizeof(struct in6_addrlifetime)",
            "offsetof(struct in6_addrlifetime, ia6t_expire)",
            "offsetof(struct in6_addrlifetime, ia6t_preferred)",
            "offsetof(struct in6_addrlifetime, ia6t_vltime)",
            "offsetof(struct in6_addrlifetime, ia6t_pltime)",
            "sizeof(struct in6_aliasreq)",
            "offsetof(struct in6_aliasreq, ifra_name)",
            "offsetof(struct in6_aliasreq, ifra_addr)",
            "offsetof(struct in6_aliasreq, ifra_dstaddr)",
            "offsetof(struct in6_aliasreq, ifra_prefixmask)",
            "offsetof(struct in6_aliasreq, ifra_flags)",
            "offsetof(struct in6_aliasreq, ifra_lifetime)",
        ],
    },
];
