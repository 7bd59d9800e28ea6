use std::{
    io::Write,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use rustix::pipe::pipe;

use super::*;

const READABLE: u32 = sys::VIR_EVENT_HANDLE_READABLE;
const WRITABLE: u32 = sys::VIR_EVENT_HANDLE_WRITABLE;
const HANGUP: u32 = sys::VIR_EVENT_HANDLE_HANGUP;

type Told = Vec<(i32, u32, &'static str)>;

/// What is to be told now: watch, bits, callback.
fn told(handles: &Handles<&'static str>, epoll: &Epoll) -> Told {
    let events = epoll.wait(Some(Duration::ZERO)).unwrap();
    let told = events.into_iter().filter_map(|(mark, flags)| handles.told(mark, flags));
    told.map(|(id, _, bits, callback)| (id, bits, callback)).collect()
}

/// Moves a descriptor to a number that another has had and closed.
fn moved_to(fd: OwnedFd, number: RawFd) -> OwnedFd {
    let mut kept = vec![fd];
    loop {
        let last = kept.pop().unwrap();
        if last.as_raw_fd() == number {
            return last;
        }
        // The lowest free number comes first: it is reached from below.
        let next = last.try_clone().unwrap();
        kept.push(last);
        kept.push(next);
        assert!(kept.len() < 1000);
    }
}

#[test]
fn a_watch_hears_what_it_waits_for_and_nothing_while_it_is_off() {
    let (epoll, mut handles) = (Epoll::new().unwrap(), Handles::new());
    let (near, mut far) = UnixStream::pair().unwrap();
    let id = handles.add(&epoll, near.as_raw_fd(), READABLE, "a").unwrap();
    assert_eq!(told(&handles, &epoll), []);
    far.write_all(b"x").unwrap();
    assert_eq!(told(&handles, &epoll), [(id, READABLE, "a")]);
    handles.update(&epoll, id, READABLE | WRITABLE);
    assert_eq!(told(&handles, &epoll), [(id, READABLE | WRITABLE, "a")]);
    handles.update(&epoll, id, 0);
    assert_eq!(epoll.wait(Some(Duration::ZERO)).unwrap(), []);
    handles.update(&epoll, id, READABLE);
    assert_eq!(told(&handles, &epoll), [(id, READABLE, "a")]);
    assert_eq!(handles.remove(&epoll, id), Some("a"));
    assert_eq!(epoll.wait(Some(Duration::ZERO)).unwrap(), []);
    assert_eq!(handles.remove(&epoll, id), None);
}

#[test]
fn what_was_fetched_before_a_change_is_not_told_after_it() {
    let (epoll, mut handles) = (Epoll::new().unwrap(), Handles::new());
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"x").unwrap();
    let id = handles.add(&epoll, near.as_raw_fd(), READABLE, "a").unwrap();
    let fetched = epoll.wait(Some(Duration::ZERO)).unwrap();
    let [(mark, flags)] = fetched[..] else { panic!("{fetched:?}") };
    handles.update(&epoll, id, WRITABLE);
    assert!(handles.told(mark, flags).is_none(), "it waits for something else now");
    handles.update(&epoll, id, 0);
    assert!(handles.told(mark, flags).is_none(), "off");
    handles.remove(&epoll, id);
    assert!(handles.told(mark, flags).is_none(), "gone");
}

#[test]
fn a_hung_up_descriptor_whose_watch_is_off_keeps_nobody_busy() {
    let (epoll, mut handles) = (Epoll::new().unwrap(), Handles::new());
    let (near, far) = UnixStream::pair().unwrap();
    let id = handles.add(&epoll, near.as_raw_fd(), READABLE, "a").unwrap();
    drop(far);
    assert_eq!(told(&handles, &epoll), [(id, READABLE, "a")], "the end is read");
    handles.update(&epoll, id, 0);
    assert_eq!(epoll.wait(Some(Duration::ZERO)).unwrap(), []);
}

#[test]
fn an_end_that_nobody_asked_for_is_told_where_it_is_all_there_is() {
    let (epoll, mut handles) = (Epoll::new().unwrap(), Handles::new());
    let (reading, writing) = pipe().unwrap();
    let id = handles.add(&epoll, reading.as_raw_fd(), READABLE, "a").unwrap();
    drop(writing);
    assert_eq!(told(&handles, &epoll), [(id, HANGUP, "a")]);
}

#[test]
fn a_number_that_was_closed_and_given_again_belongs_to_the_newer_watch() {
    let (epoll, mut handles) = (Epoll::new().unwrap(), Handles::new());
    let (old, _old_far) = UnixStream::pair().unwrap();
    let (new, mut far) = UnixStream::pair().unwrap();
    let number = old.as_raw_fd();
    let stale = handles.add(&epoll, number, READABLE, "old").unwrap();
    drop(old);
    let new = moved_to(new.into(), number);
    let id = handles.add(&epoll, new.as_raw_fd(), READABLE, "new").unwrap();
    far.write_all(b"x").unwrap();
    let expected = [(id, READABLE, "new")];
    assert_eq!(told(&handles, &epoll), expected);
    for events in [0, READABLE | WRITABLE, 0] {
        handles.update(&epoll, stale, events);
        assert_eq!(told(&handles, &epoll), expected, "{events}");
    }
    assert_eq!(handles.remove(&epoll, stale), Some("old"));
    assert_eq!(told(&handles, &epoll), expected);
    // The newer one is turned off and on like any other.
    handles.update(&epoll, id, 0);
    assert_eq!(told(&handles, &epoll), []);
    handles.update(&epoll, id, READABLE);
    assert_eq!(told(&handles, &epoll), expected);
}

#[test]
fn a_descriptor_that_was_closed_under_its_watch_is_no_error() {
    let (epoll, mut handles) = (Epoll::new().unwrap(), Handles::new());
    let (near, _far) = UnixStream::pair().unwrap();
    let id = handles.add(&epoll, near.as_raw_fd(), READABLE, "a").unwrap();
    drop(near);
    assert!(handles.update(&epoll, id, 0));
    assert!(handles.update(&epoll, id, READABLE));
    assert!(!handles.has_refused(), "there is nothing to wait for");
    assert_eq!(handles.remove(&epoll, id), Some("a"));
    assert_eq!(handles.add(&epoll, -1, READABLE, "b"), Err(Errno::BADF));
}
