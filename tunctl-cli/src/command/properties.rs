//! An interface's properties: as arguments that change them, and in a report, for people and as JSON.

use std::ffi::CStr;
use std::io::{self, Write};

use clap::Args;
use serde::Serialize;
use tunctl::{
    Counters, Escaped, Holder, Holders, InterfaceAddress, InterfaceConfig, InterfaceInfo, Layer, MacAddress,
    Mtu, Statistics,
};

use super::arguments::{group_name, on_or_off, user_name, with};
use super::output::{Columns, width};

/// The properties that `create` and `set` both take.
#[derive(Args)]
pub(super) struct Properties {
    /// The most bytes that a packet may have
    #[arg(long, value_name = "BYTES")]
    mtu: Option<Mtu>,
    /// The MAC address of a tap (the kernel chooses that of a new one)
    #[arg(long, value_name = "MAC")]
    mac: Option<MacAddress>,
    /// The most packets that wait for a program in each queue
    #[arg(long, value_name = "PACKETS")]
    queue_length: Option<u32>,
    /// Whether it has a carrier; without one, the system sends nothing out of it
    #[arg(long, value_name = "on|off", value_parser = on_or_off)]
    carrier: Option<bool>,
    /// A text that describes it; an empty one removes the description
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

impl Properties {
    /// Adds what was specified to a configuration.
    pub(super) fn add_to(&self, mut config: InterfaceConfig) -> InterfaceConfig {
        config = with(config, self.mtu, InterfaceConfig::mtu);
        config = with(config, self.mac, InterfaceConfig::mac);
        config = with(config, self.queue_length, InterfaceConfig::queue_length);
        config = with(config, self.carrier, InterfaceConfig::carrier);
        with(config, self.description.clone(), InterfaceConfig::description)
    }
}

/// Everything that `show` and `list` report about an interface. The fields are those of the JSON object.
#[derive(Serialize)]
pub(super) struct Report {
    name: String,
    index: u32,
    layer: &'static str,
    flags: Vec<String>,
    mtu: u32,
    mac: Option<String>,
    state: String,
    queue_length: Option<u32>,
    /// `None` where interfaces have none.
    carrier: Option<&'static str>,
    /// The name of the bridge, or other interface, whose port it is.
    master: Option<String>,
    /// `None` if it has none, or no interface of this system has one.
    description: Option<String>,
    persistent: bool,
    owner: Option<u32>,
    group: Option<u32>,
    addresses: Vec<String>,
    queues: Option<u32>,
    detached_queues: Option<u32>,
    /// `null` if somebody has it open, and is not seen from here.
    holders: Option<Vec<HolderReport>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<StatisticsReport>,
    /// Whether there are more holders than are seen.
    #[serde(skip)]
    others: bool,
}

#[derive(Serialize)]
struct HolderReport {
    pid: u32,
    command: String,
}

/// The directions have the names of the library, which are the program's.
#[derive(Serialize)]
struct StatisticsReport {
    from_program: CountersReport,
    to_program: CountersReport,
}

#[derive(Serialize)]
struct CountersReport {
    packets: u64,
    bytes: u64,
    errors: u64,
    dropped: u64,
}

impl From<Counters> for CountersReport {
    fn from(Counters { packets, bytes, errors, dropped, .. }: Counters) -> Self {
        Self { packets, bytes, errors, dropped }
    }
}

impl CountersReport {
    fn in_words(&self) -> String {
        let Self { packets, bytes, errors, dropped } = self;
        format!("{packets} packets, {bytes} bytes, {errors} errors, {dropped} dropped")
    }
}

impl From<Holder> for HolderReport {
    fn from(holder: Holder) -> Self {
        Self { pid: holder.pid, command: holder.command }
    }
}

impl Report {
    pub(super) fn new(
        info: InterfaceInfo,
        description: &CStr,
        addresses: &[InterfaceAddress],
        holders: Holders,
        master: Option<String>,
    ) -> Self {
        let seen: Vec<_> = holders.seen.into_iter().map(HolderReport::from).collect();
        Self {
            description: Some(description.to_string_lossy().into_owned()).filter(|text| !text.is_empty()),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            master,
            holders: (!seen.is_empty() || !holders.others).then_some(seen),
            others: holders.others,
            ..Self::from(info)
        }
    }

    /// The same with the counters.
    pub(super) fn with_statistics(mut self, counted: Statistics) -> Self {
        let Statistics { from_program, to_program, .. } = counted;
        self.statistics =
            Some(StatisticsReport { from_program: from_program.into(), to_program: to_program.into() });
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Writes one property per line.
    pub(super) fn write_long(&self, output: &mut impl Write) -> io::Result<()> {
        let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
        let id = |id: Option<u32>, name: fn(u32) -> Option<String>| match (id, id.and_then(name)) {
            (None, _) => "none".to_owned(),
            (Some(id), None) => id.to_string(),
            (Some(id), Some(name)) => format!("{id} ({})", Escaped::new(&name)),
        };
        let or_unknown =
            |number: Option<u32>| number.map_or("unknown".to_owned(), |number| number.to_string());
        let rows = [
            ("index", self.index.to_string()),
            ("layer", self.layer.to_owned()),
            ("flags", self.flags.join(", ")),
            ("mtu", self.mtu.to_string()),
            ("mac", self.mac.clone().unwrap_or_else(|| "none".to_owned())),
            ("state", self.state.clone()),
            ("persistent", if self.persistent { "yes" } else { "no" }.to_owned()),
            ("owner", id(self.owner, user_name)),
            ("group", id(self.group, group_name)),
            ("addresses", or_none(self.addresses.join(", "))),
            ("queues", self.queues_in_words()),
            ("queue_length", or_unknown(self.queue_length)),
            ("carrier", self.carrier.unwrap_or("unknown").to_owned()),
            ("master", or_none(Escaped::new(self.master.as_deref().unwrap_or_default()).to_string())),
            (
                "description",
                or_none(Escaped::new(self.description.as_deref().unwrap_or_default()).to_string()),
            ),
            ("holders", self.holders_in_words()),
        ];
        let counted = self.statistics.iter().flat_map(|counted| {
            [("from_program", counted.from_program.in_words()), ("to_program", counted.to_program.in_words())]
        });
        writeln!(output, "{}", self.name)?;
        rows.into_iter().chain(counted).try_for_each(|(property, value)| {
            let property = format!("  {property:<12}");
            let mut line = Columns::new(width(), property.len() + 1);
            line.push(0, &property, &property);
            line.push_words(1, &value);
            writeln!(output, "{}", line.finish())
        })
    }

    /// Writes a table with one interface per row. A terminal too narrow for it gets the same words.
    pub(super) fn write_table(reports: &[Self], output: &mut impl Write) -> io::Result<()> {
        let width = width();
        let mut write = |[name, layer, state, mtu, holder, addresses]: [&str; 6]| {
            let table = format!("{name:<15} {layer:<5} {state:<5} {mtu:>5}  {holder:<10} {addresses}");
            if table.chars().count() <= width {
                return writeln!(output, "{table}");
            }
            let mut line = Columns::new(width, 4);
            for column in [name, layer, state, mtu, holder, addresses] {
                line.push_words(1, column);
            }
            writeln!(output, "{}", line.finish())
        };
        write(["NAME", "LAYER", "STATE", "MTU", "HOLDER", "ADDRESSES"])?;
        for report in reports {
            let Self { name, layer, state, mtu, .. } = report;
            let addresses =
                if report.addresses.is_empty() { "-".to_owned() } else { report.addresses.join(" ") };
            write([name, layer, state, &mtu.to_string(), &report.first_holder(), &addresses])?;
        }
        Ok(())
    }

    /// The first holder, and how many there are besides.
    fn first_holder(&self) -> String {
        match self.holders.as_deref().unwrap_or_default() {
            [] => if self.others { "?" } else { "-" }.to_owned(),
            [first] if self.others => format!("{} +?", first.command),
            [first] => first.command.clone(),
            [first, rest @ ..] => format!("{} +{}", first.command, rest.len()),
        }
    }

    fn queues_in_words(&self) -> String {
        let queues = self.queues.map_or_else(|| "unknown".to_owned(), |queues| queues.to_string());
        match self.detached_queues {
            None | Some(0) => queues,
            Some(detached) => format!("{queues}, of which {detached} detached"),
        }
    }

    fn holders_in_words(&self) -> String {
        let seen = self.holders.iter().flatten();
        let seen: Vec<_> =
            seen.map(|HolderReport { pid, command }| format!("{command} (pid {pid})")).collect();
        match (seen.join(", "), self.others) {
            (seen, false) if seen.is_empty() => "none".to_owned(),
            (seen, true) if seen.is_empty() => "unknown (not visible to this user or from here)".to_owned(),
            (seen, false) => seen,
            (seen, true) => format!("{seen}, and others (not visible to this user or from here)"),
        }
    }
}

impl From<InterfaceInfo> for Report {
    fn from(info: InterfaceInfo) -> Self {
        Self {
            name: info.name.to_string(),
            index: info.index.get(),
            layer: match info.layer {
                Layer::Tun => "tun",
                Layer::Tap => "tap",
            },
            flags: info.flags.names().collect(),
            mtu: info.mtu.get(),
            mac: info.mac.map(|mac| mac.to_string()),
            state: info.state.to_string(),
            queue_length: info.queue_length,
            carrier: info.carrier.map(|on| if on { "on" } else { "off" }),
            master: None,
            description: None,
            persistent: info.persistent,
            owner: info.owner.map(tunctl::Uid::get),
            group: info.group.map(tunctl::Gid::get),
            addresses: Vec::new(),
            queues: info.queues,
            detached_queues: info.detached_queues,
            holders: None,
            statistics: None,
            others: true,
        }
    }
}
