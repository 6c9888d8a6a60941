//! Queues that come and go while their devices stay open.

use crate::{Result, TunDevice};

/// A device of a multi-queue interface whose queue can be taken out of service, and put back.
///
/// A program that grows and shrinks its workers detaches the queues of those that rest, instead of closing
/// them: a system may ask for a privilege to open a queue, and for none to attach it again.
///
/// The system counts the queues of an interface that are detached
/// ([`InterfaceInfo::detached_queues`](crate::InterfaceInfo::detached_queues)), and does not say which ones
/// they are: whoever detaches a queue knows it.
///
/// # Platform
///
/// Linux, and models of it.
pub trait Queues: TunDevice {
    /// Puts a detached queue back into service.
    ///
    /// # Errors
    ///
    /// `InvalidQueue` if it is in service; `Gone`.
    #[doc(alias = "TUNSETQUEUE")]
    #[doc(alias = "IFF_ATTACH_QUEUE")]
    fn attach_queue(&self) -> Result<()>;

    /// Takes the queue out of service: the packets in it are lost, and none come. The device still sends,
    /// unless it has [`napi`](crate::CreateOptions::napi).
    ///
    /// # Errors
    ///
    /// `InvalidQueue` if it is detached already, or the interface has a single queue; `Gone`.
    #[doc(alias = "TUNSETQUEUE")]
    #[doc(alias = "IFF_DETACH_QUEUE")]
    fn detach_queue(&self) -> Result<()>;
}
