//! What there is in a namespace, by iproute2's report.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;

use serde_json::Value;

/// The interfaces by name, each with its properties as text. Loopback is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State(BTreeMap<String, String>);

/// The MAC addresses that scenarios choose; of others the kernel chose.
const CHOSEN: &str = "02:00:5e:";

impl State {
    /// Asks in the calling process's namespace.
    pub(crate) fn now() -> Result<Self, String> {
        let output = Command::new("ip").args(["-d", "-j", "address", "show"]).output();
        let output = output.map_err(|error| format!("ip: {error}"))?;
        let all: Vec<Value> =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("ip's report: {error}"))?;
        let interfaces = all.iter().filter(|interface| interface["ifname"] != "lo");
        Ok(Self(interfaces.map(|one| (text(&one["ifname"]), properties(one))).collect()))
    }

    /// The interfaces that are nobody's in the scenario.
    pub(crate) fn strangers(&self) -> Self {
        let strange = |name: &String| matches!(name.as_str(), "stranger" | "other" | "theirs");
        Self(self.0.iter().filter(|(name, _)| strange(name)).map(|(a, b)| (a.clone(), b.clone())).collect())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, properties)| writeln!(f, "      {name}: {properties}"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn properties(interface: &Value) -> String {
    let is_up = interface["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
    let addresses = interface["addr_info"].as_array().into_iter().flatten();
    // Link-local addresses come and go with the kernel's own timers.
    let addresses = addresses.filter(|address| address["scope"] != "link").map(|address| {
        let peer = address["address"].as_str().map(|peer| format!(" peer {peer}")).unwrap_or_default();
        format!("{}{peer}/{}", text(&address["local"]), address["prefixlen"])
    });
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort();
    let mac = text(&interface["address"]);
    let driver = &interface["linkinfo"]["info_data"];
    let ours: Vec<_> = ["type", "persist", "user", "group", "multi_queue"]
        .iter()
        .filter(|key| !driver[**key].is_null())
        .map(|key| format!("{key}={}", driver[*key]))
        .collect();
    format!(
        "{} mtu {} qlen {} mac {} alias {:?} [{}] {}",
        if is_up { "up" } else { "down" },
        interface["mtu"],
        interface["txqlen"],
        if mac.starts_with(CHOSEN) { &mac } else { "-" },
        text(&interface["ifalias"]),
        addresses.join(", "),
        ours.join(" "),
    )
}
