//! Ours in a task of tokio's: one task that receives, or sends, what is ready.

use std::time::Instant;

use tokio::runtime::{Builder, Runtime};
use tunctl_linux::LinuxDevice;
use tunctl_tokio::AsyncDevice;

use super::methods::{Names, Timed, Timing};

/// A device in a runtime of one thread.
pub(crate) struct Task {
    device: AsyncDevice<LinuxDevice>,
    runtime: Runtime,
}

impl Task {
    pub(crate) fn new(device: LinuxDevice) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_io().build().map_err(|error| error.to_string())?;
        let entered = runtime.enter();
        let device = AsyncDevice::new(device).map_err(|error| error.to_string())?;
        drop(entered);
        Ok(Self { device, runtime })
    }
}

impl Timed for &Task {
    fn names(&self) -> Names {
        Names { library: "tunctl", receive: "recv().await", send: "send().await" }
    }

    fn time_receive(&self, buffer: &mut [u8], packets: usize) -> Result<Timing, String> {
        self.runtime.block_on(async {
            let mut bytes = 0;
            let start = Instant::now();
            for _ in 0..packets {
                bytes += self.device.recv(buffer).await.map_err(|error| error.to_string())?;
            }
            Ok(Timing { elapsed: start.elapsed(), bytes })
        })
    }

    fn time_send(&self, packet: &[u8], packets: usize) -> Result<Timing, String> {
        self.runtime.block_on(async {
            let mut bytes = 0;
            let start = Instant::now();
            for _ in 0..packets {
                bytes += self.device.send(packet).await.map_err(|error| error.to_string())?;
            }
            Ok(Timing { elapsed: start.elapsed(), bytes })
        })
    }
}
