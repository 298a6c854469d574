//! Row 14: devices ask for ten times what the disk takes, and do not listen when they are told to come later. The disk is slow
//! (a commit takes a second), because a generator beside a fast one could not ask for so much. Those who poll have a thread of
//! their own: the answers that come with a commit, hundreds at once, would keep a common one from looking at theirs.
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::client::Driver;
use crate::cpu;
use crate::load::{Load, Work};
use crate::process::resident_bytes_of;
use crate::report::{Bar, part, row};
use crate::servers::{Disk, Product};

const POLL_EVERY: Duration = Duration::from_millis(100);

struct Size {
    reporters: usize,
    pollers: usize,
    commit: Duration,
    /// Requests that may wait; the product's own bound would need as many connections.
    queue: usize,
    usual: Work,
    overload: Work,
}

fn size(smoke: bool) -> Size {
    let work = |s: u64, every_ms: u64| Work { length: Duration::from_secs(s), every: Duration::from_millis(every_ms) };
    if smoke {
        let commit = Duration::from_millis(50);
        return Size { reporters: 128, pollers: 8, commit, queue: 8, usual: work(1, 500), overload: work(1, 5) };
    }
    // Reports are refused above 80 % of the queue, so a commit takes about 410 of them: nine tenths of that are asked for at
    // first, and then more than twelve times as much.
    let commit = Duration::from_secs(1);
    Size { reporters: 4_096, pollers: 64, commit, queue: 512, usual: work(33, 11_000), overload: work(300, 800) }
}

pub async fn measure(smoke: bool, serving: &Runtime) -> anyhow::Result<()> {
    let size = size(smoke);
    part(&format!(
        "a disk that takes {} ms for a commit, a queue of {}; {} devices report every {} ms for {} s, and then every {} ms for {} s",
        size.commit.as_millis(),
        size.queue,
        size.reporters,
        size.usual.every.as_millis(),
        size.usual.length.as_secs(),
        size.overload.every.as_millis(),
        size.overload.length.as_secs()
    ));
    let product = Product::start(serving, Disk::Slow { commit: size.commit, queue: size.queue }).await?;
    let mut reporters = Driver::connect(product.address, 0, size.reporters).await?;
    reporters.enrol().await?;
    let polling = |round: usize, work: Work| {
        let first = size.reporters + round * size.pollers;
        polls_apart(product.address, first as u32, size.pollers, Work { every: POLL_EVERY, ..work })
    };

    let (taken, polled) = tokio::join!(reporters.statuses_at(size.usual), polling(0, size.usual));
    let (usual, usual_polls) = (taken?, polled?);
    let before = resident_bytes_of("self")?;
    let (taken, polled) = tokio::join!(reporters.statuses_at(size.overload), polling(1, size.overload));
    let (overload, overload_polls) = (taken?, polled?);
    let after = resident_bytes_of("self")?;

    row("usual: statuses taken", usual.per_second(), "a second", Bar::None);
    row("usual: statuses refused", usual.refused as f64, "", Bar::None);
    let asked = (overload.ok + overload.refused) as f64;
    row("overload: statuses taken", overload.per_second(), "a second", Bar::None);
    row("overload: asked for one that is taken", asked / overload.ok.max(1) as f64, "times", Bar::AtLeast(10.0));
    let told = 100.0 * overload.told_when as f64 / overload.refused.max(1) as f64;
    row("overload: of the refused, 503 with Retry-After", told, "%", Bar::AtLeast(100.0));
    let growth = 100.0 * (after as f64 / before as f64 - 1.0);
    row("memory after the usual load, generator included", before as f64 / 1e6, "MB", Bar::None);
    row("memory grew by, generator included", growth, "%", Bar::AtMost(10.0));
    row("usual: poll answered after, 99 of 100", usual_polls.p99_ms, "ms", Bar::None);
    row("overload: poll answered after, 99 of 100", overload_polls.p99_ms, "ms", Bar::None);
    row(
        "polls' 99 of 100, in terms of the usual",
        overload_polls.p99_ms / usual_polls.p99_ms,
        "times",
        Bar::AtMost(2.0),
    );
    row("overload: polls refused", overload_polls.refused as f64, "", Bar::AtMost(0.0));
    let cut = [usual.cut, overload.cut, usual_polls.cut, overload_polls.cut].iter().sum::<u64>();
    row("connections that ended before their time", cut as f64, "", Bar::AtMost(0.0));
    drop(reporters);
    product.stop().await;
    Ok(())
}

/// Devices that nobody met before poll, on a thread of their own.
async fn polls_apart(server: SocketAddr, first: u32, devices: usize, work: Work) -> anyhow::Result<Load> {
    let (done, result) = oneshot::channel();
    let poll = move || -> anyhow::Result<Load> {
        let runtime = Builder::new_current_thread().enable_all().build().context("a runtime")?;
        runtime.block_on(async {
            let mut pollers = Driver::connect(server, first, devices).await?;
            pollers.enrol().await?;
            pollers.polls_at(work).await
        })
    };
    // Its time is the generator's, too.
    std::thread::Builder::new().name(cpu::GENERATOR.into()).spawn(move || done.send(poll()))?;
    result.await.context("the thread of those who poll ended")?
}
