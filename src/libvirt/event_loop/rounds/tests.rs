use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

use virt::sys;

use super::*;

const READABLE: u32 = sys::VIR_EVENT_HANDLE_READABLE;
const PATIENCE: Duration = Duration::from_secs(20);
const LONG: i32 = 3_600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Happened(i32, u32),
    Due(i32),
    Released,
}

/// Tells of its calls, or does with them what the test wants.
#[derive(Clone)]
struct Told(Arc<dyn Fn(Call) + Send + Sync>);

impl Callback for Told {
    fn happened(&self, watch: i32, _: i32, events: u32) {
        (self.0)(Call::Happened(watch, events));
    }

    fn due(&self, timer: i32) {
        (self.0)(Call::Due(timer));
    }

    fn release(self) {
        (self.0)(Call::Released);
    }
}

/// A loop that runs on a thread of its own until it is dropped.
struct Running {
    rounds: Arc<Rounds<Told>>,
    count: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Running {
    fn start() -> Self {
        let rounds = Arc::new(Rounds::new().unwrap());
        let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (theirs, counted, stopped) = (Arc::clone(&rounds), Arc::clone(&count), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                theirs.round().unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { rounds, count, stop, thread: Some(thread) }
    }

    /// Waits until the loop sleeps, which is told by its state.
    fn asleep(&self) {
        let end = Instant::now() + PATIENCE;
        while matches!(self.rounds.state().sleep, Sleep::Awake) {
            assert!(Instant::now() < end, "it does not sleep");
            thread::yield_now();
        }
    }

    fn rounds_so_far(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = rustix::io::write(&self.rounds.wake, &1_u64.to_ne_bytes());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

fn told() -> (Told, mpsc::Receiver<Call>) {
    let (sender, calls) = mpsc::channel();
    let callback = move |call| {
        let _ = sender.send(call);
    };
    (Told(Arc::new(callback)), calls)
}

fn next(calls: &mpsc::Receiver<Call>) -> Call {
    calls.recv_timeout(PATIENCE).expect("a call")
}

#[test]
fn a_watch_set_while_the_loop_sleeps_is_heard() {
    let running = Running::start();
    running.asleep();
    let (near, mut far) = UnixStream::pair().unwrap();
    let (callback, calls) = told();
    let id = running.rounds.add_handle(near.as_raw_fd(), 0, callback).unwrap();
    running.rounds.update_handle(id, READABLE);
    far.write_all(b"x").unwrap();
    assert_eq!(next(&calls), Call::Happened(id, READABLE));
}

#[test]
fn turning_a_watch_off_and_on_and_moving_a_timer_later_wake_nobody() {
    let running = Running::start();
    let (near, _far) = UnixStream::pair().unwrap();
    let watch = running.rounds.add_handle(near.as_raw_fd(), READABLE, told().0).unwrap();
    let timer = running.rounds.add_timer(LONG, told().0).unwrap();
    // The first wake-up may still be on its way; from one that was heard the
    // loop sleeps until the timer.
    let end = Instant::now() + PATIENCE;
    while !matches!(running.rounds.state().sleep, Sleep::Until(_)) {
        assert!(Instant::now() < end);
        thread::yield_now();
    }
    let before = running.rounds_so_far();
    for _ in 0..1000 {
        running.rounds.update_handle(watch, 0);
        running.rounds.update_handle(watch, READABLE);
        running.rounds.update_timer(timer, LONG);
    }
    assert_eq!(running.rounds_so_far(), before);
    assert!(matches!(running.rounds.state().sleep, Sleep::Until(_)), "never asked to wake");
}

#[test]
fn a_timer_that_is_moved_earlier_or_new_wakes_the_loop() {
    let running = Running::start();
    let (callback, calls) = told();
    let timer = running.rounds.add_timer(LONG, callback).unwrap();
    running.asleep();
    running.rounds.update_timer(timer, 1);
    assert_eq!(next(&calls), Call::Due(timer));
    running.rounds.update_timer(timer, -1);
    let (callback, calls) = told();
    let other = running.rounds.add_timer(1, callback).unwrap();
    assert_eq!(next(&calls), Call::Due(other));
}

#[test]
fn a_timer_that_is_moved_later_is_called_at_its_new_time() {
    let running = Running::start();
    let (callback, calls) = told();
    let timer = running.rounds.add_timer(LONG, callback).unwrap();
    let begun = Instant::now();
    running.rounds.update_timer(timer, 20);
    running.rounds.update_timer(timer, 200);
    assert_eq!(next(&calls), Call::Due(timer));
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[test]
fn what_is_removed_is_given_back_by_the_loop_and_not_within_the_removal() {
    let running = Running::start();
    let (near, _far) = UnixStream::pair().unwrap();
    let (sender, released) = mpsc::channel();
    // Held while it removes, as libvirt holds its own locks: a release within
    // the removal would wait for ever.
    let lock = Arc::new(Mutex::new(()));
    let theirs = Arc::clone(&lock);
    let callback = Told(Arc::new(move |call| {
        drop(theirs.lock());
        let _ = sender.send((call, thread::current().id()));
    }));
    let watch = running.rounds.add_handle(near.as_raw_fd(), READABLE, callback.clone()).unwrap();
    let timer = running.rounds.add_timer(LONG, callback).unwrap();
    running.asleep();
    let held = lock.lock().unwrap();
    assert!(running.rounds.remove_handle(watch) && running.rounds.remove_timer(timer));
    assert!(!running.rounds.remove_handle(watch) && !running.rounds.remove_timer(timer));
    assert!(released.try_recv().is_err());
    drop(held);
    let loops = running.thread.as_ref().unwrap().thread().id();
    for _ in 0..2 {
        assert_eq!(released.recv_timeout(PATIENCE).unwrap(), (Call::Released, loops));
    }
    drop(running);
    assert!(released.recv().is_err(), "once each");
}

#[test]
fn a_callback_may_remove_itself_and_is_released_after_it_has_returned() {
    let running = Running::start();
    let (near, mut far) = UnixStream::pair().unwrap();
    let (sender, calls) = mpsc::channel();
    let (rounds, runs) = (Arc::clone(&running.rounds), AtomicBool::new(false));
    let callback = Told(Arc::new(move |call| {
        assert!(!runs.swap(true, Ordering::SeqCst), "released while it runs");
        if let Call::Happened(watch, _) = call {
            assert!(rounds.remove_handle(watch));
            rounds.update_handle(watch, READABLE);
        }
        runs.store(false, Ordering::SeqCst);
        let _ = sender.send(call);
    }));
    let watch = running.rounds.add_handle(near.as_raw_fd(), READABLE, callback).unwrap();
    far.write_all(b"x").unwrap();
    assert_eq!(next(&calls), Call::Happened(watch, READABLE));
    assert_eq!(next(&calls), Call::Released);
    // Its bytes still wait, and nobody is called for them.
    let (callback, timers) = told();
    let timer = running.rounds.add_timer(5, callback).unwrap();
    for _ in 0..3 {
        assert_eq!(next(&timers), Call::Due(timer));
    }
    assert!(calls.try_recv().is_err());
}

#[test]
fn a_watch_that_another_callback_turns_off_in_the_same_round_is_not_called() {
    let rounds = Arc::new(Rounds::new().unwrap());
    let pairs = [UnixStream::pair().unwrap(), UnixStream::pair().unwrap()];
    let calls = Arc::new(AtomicUsize::new(0));
    for (near, far) in &pairs {
        let (theirs, calls) = (Arc::clone(&rounds), Arc::clone(&calls));
        let callback = Told(Arc::new(move |call| {
            let Call::Happened(watch, _) = call else { return };
            calls.fetch_add(1, Ordering::SeqCst);
            // The other one of 1 and 2.
            theirs.update_handle(3 - watch, 0);
        }));
        rounds.add_handle(near.as_raw_fd(), READABLE, callback).unwrap();
        (&*far).write_all(b"x").unwrap();
    }
    rounds.round().unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_hung_up_descriptor_whose_watch_is_off_lets_the_loop_sleep() {
    let running = Running::start();
    let (mut near, far) = UnixStream::pair().unwrap();
    let (callback, calls) = told();
    let (rounds, off) = (Arc::clone(&running.rounds), callback);
    let callback = Told(Arc::new(move |call| {
        if let Call::Happened(watch, _) = call {
            rounds.update_handle(watch, 0);
        }
        (off.0)(call);
    }));
    let watch = running.rounds.add_handle(near.as_raw_fd(), READABLE, callback).unwrap();
    drop(far);
    assert_eq!(next(&calls), Call::Happened(watch, READABLE));
    assert_eq!(near.read(&mut [0]).unwrap(), 0, "hung up");
    let (callback, timers) = told();
    let timer = running.rounds.add_timer(50, callback).unwrap();
    let before = running.rounds_so_far();
    for _ in 0..4 {
        assert_eq!(next(&timers), Call::Due(timer));
    }
    let rounds = running.rounds_so_far() - before;
    assert!(rounds <= 10, "{rounds} rounds for 4 calls");
    assert!(calls.try_recv().is_err());
}

#[test]
fn a_timer_of_no_length_is_called_in_every_round_beside_the_others() {
    let running = Running::start();
    let (callback, calls) = told();
    let timer = running.rounds.add_timer(0, callback).unwrap();
    for _ in 0..5 {
        assert_eq!(next(&calls), Call::Due(timer));
    }
    let (near, mut far) = UnixStream::pair().unwrap();
    let (callback, heard) = told();
    let watch = running.rounds.add_handle(near.as_raw_fd(), READABLE, callback).unwrap();
    far.write_all(b"x").unwrap();
    assert_eq!(next(&heard), Call::Happened(watch, READABLE));
}
