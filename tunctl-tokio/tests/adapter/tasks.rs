//! Several tasks, and several queues.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tunctl_core::{CreateOptions, TunBackend, TunDevice};
use tunctl_testing::{Case, on_both};
use tunctl_tokio::AsyncDevice;

use super::support::{
    A_MOMENT, System, async_tun, inject, name, next, number, one_thread, packet, soon, threads, waits,
};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        tasks_that_share_a_device_get_each_packet_once,
        one_task_receives_while_another_sends,
        halves_work_in_tasks_of_their_own,
        halves_are_one_device_again,
        halves_of_two_devices_stay_apart,
        a_deletion_wakes_every_task,
        each_queue_has_a_task,
        a_queue_that_was_out_of_service_is_waited_for,
    ]
}

fn tasks_that_share_a_device_get_each_packet_once<H: System>(harness: &H) {
    threads().block_on(async {
        let tun = Arc::new(async_tun(harness));
        let (told, mut numbers) = mpsc::unbounded_channel();
        for _ in 0..3 {
            let (tun, told) = (tun.clone(), told.clone());
            tokio::spawn(async move {
                let mut buffer = [0; 100];
                while let Ok(length) = tun.recv(&mut buffer).await {
                    told.send(number(&buffer[..length])).unwrap();
                }
            });
        }
        let mut received = Vec::new();
        for first in (0..300).step_by(10) {
            (first..first + 10).for_each(|number| inject(harness, number));
            for _ in 0..10 {
                received.push(soon(numbers.recv()).await.unwrap());
            }
        }
        received.sort_unstable();
        assert_eq!(received, Vec::from_iter(0..300));
    });
}

fn one_task_receives_while_another_sends<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = Arc::new(async_tun(harness));
        let receiver = tokio::spawn({
            let tun = tun.clone();
            async move { tun.recv(&mut [0; 100]).await }
        });
        tokio::task::yield_now().await;
        // The other waits, and this one need not.
        let mut seen = harness.observe(&name("tun0"));
        assert_eq!(soon(tun.send(&packet(5))).await.unwrap(), 24);
        assert_eq!(seen.take(), Some(packet(5)));
        assert!(!receiver.is_finished());
        inject(harness, 1);
        assert_eq!(soon(receiver).await.unwrap().unwrap(), 24);
    });
}

fn halves_work_in_tasks_of_their_own<H: System>(harness: &H) {
    threads().block_on(async {
        let (mut input, mut output) = async_tun(harness).into_split();
        let mut seen = harness.observe(&name("tun0"));
        let (forward, mut packets) = mpsc::channel::<Vec<u8>>(8);
        tokio::spawn(async move {
            let mut buffer = [0; 100];
            while let Ok(length) = input.recv(&mut buffer).await {
                forward.send(buffer[..length].to_vec()).await.unwrap();
            }
        });
        let sender = tokio::spawn(async move {
            for _ in 0..5 {
                output.send(&packets.recv().await.unwrap()).await.unwrap();
            }
        });
        (0..5).for_each(|number| inject(harness, number));
        soon(sender).await.unwrap();
        for number in 0..5 {
            assert_eq!(seen.take(), Some(packet(number)));
        }
    });
}

fn halves_are_one_device_again<H: System>(harness: &H) {
    one_thread().block_on(async {
        let (input, output) = async_tun(harness).into_split();
        assert_eq!(input.device().device().name().unwrap(), output.device().device().name().unwrap());
        let tun = input.reunite(output).unwrap();
        tun.into_device().destroy().unwrap();
    });
}

fn halves_of_two_devices_stay_apart<H: System>(harness: &H) {
    one_thread().block_on(async {
        let (first, _kept) = async_tun(harness).into_split();
        let other = harness.backend().create(&CreateOptions::tun().name("tun1")).unwrap();
        let (_kept, second) = AsyncDevice::new(other).unwrap().into_split();
        let (first, second) = first.reunite(second).unwrap_err();
        assert_eq!(first.device().device().name().unwrap(), name("tun0"));
        assert_eq!(second.device().device().name().unwrap(), name("tun1"));
    });
}

fn a_deletion_wakes_every_task<H: System>(harness: &H) {
    threads().block_on(async {
        let tun = Arc::new(async_tun(harness));
        let mut tasks = JoinSet::new();
        for _ in 0..5 {
            let tun = tun.clone();
            tasks.spawn(async move { tun.recv(&mut [0; 100]).await });
        }
        tokio::time::sleep(A_MOMENT).await;
        harness.delete(&name("tun0"));
        for outcome in soon(tasks.join_all()).await {
            assert!(outcome.unwrap_err().is_gone());
        }
    });
}

fn each_queue_has_a_task<H: System>(harness: &H) {
    const PACKETS: u32 = 300;
    threads().block_on(async {
        let options = CreateOptions::tun().name("tun0").multi_queue(true);
        let backend = harness.backend();
        let mut queues = vec![backend.create(&options).unwrap()];
        queues.extend((1..4).map(|_| backend.open(&options).unwrap()));
        harness.set_up(&name("tun0"), true);
        let mut tasks = JoinSet::new();
        for queue in queues {
            let queue = AsyncDevice::new(queue).unwrap();
            tasks.spawn(async move {
                let (mut buffer, mut received) = ([0; 100], Vec::new());
                loop {
                    match queue.recv(&mut buffer).await {
                        Ok(length) => received.push(number(&buffer[..length])),
                        Err(error) if error.is_gone() => return received,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        for number in 0..PACKETS {
            // Of many flows, so that the system may choose many queues.
            let mut packet = packet(number);
            packet[19] = (number % 200).try_into().unwrap();
            assert!(harness.inject(&name("tun0"), &packet));
        }
        // What waits in a queue when its interface goes, goes too.
        tokio::time::sleep(A_MOMENT * 4).await;
        harness.delete(&name("tun0"));
        let mut received = soon(tasks.join_all()).await.concat();
        received.sort_unstable();
        assert_eq!(received, Vec::from_iter(0..PACKETS));
    });
}

/// To who waits for it, it is as if nothing came.
fn a_queue_that_was_out_of_service_is_waited_for<H: System>(harness: &H) {
    one_thread().block_on(async {
        let options = CreateOptions::tun().name("tun0").multi_queue(true);
        let device = harness.backend().create(&options).unwrap();
        harness.set_up(&name("tun0"), true);
        assert!(harness.set_queue(&device, false).unwrap().is_ok());
        let tun = AsyncDevice::new(device).unwrap();
        assert!(waits(tun.recv(&mut [0; 100])).await);
        assert!(harness.set_queue(tun.device(), true).unwrap().is_ok());
        assert!(waits(tun.recv(&mut [0; 100])).await);
        let (received, ()) = tokio::join!(next(&tun), async {
            tokio::task::yield_now().await;
            inject(harness, 6);
        });
        assert_eq!(received, 6);
    });
}
