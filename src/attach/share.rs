//! Values that stay the same from cycle to cycle come anew with every frame.
//! Here they become one again, as they are where they were collected: a screen
//! keeps many frames in memory.

use std::sync::Arc;

use crate::model::{DomainFrame, Frame};

/// Has `frame` share with `before` what is equal in both.
pub(super) fn share(frame: &mut Frame, before: &Frame) {
    one(&mut frame.host, &before.host);
    let mut guess = before.domains.iter();
    for domain in &mut frame.domains {
        let uuid = domain.identity().uuid;
        // Nearly always the next one: domains keep their order.
        let is_it = |old: &&Arc<DomainFrame>| old.identity().uuid == uuid;
        let old = match guess.clone().next().filter(is_it) {
            Some(next) => {
                guess.next();
                Some(next)
            }
            None => before.domains.iter().position(|old| old.identity().uuid == uuid).and_then(|place| {
                guess = before.domains[place..].iter();
                guess.next()
            }),
        };
        if let (Some(old), Some(domain)) = (old, Arc::get_mut(domain)) {
            with(domain, old);
        }
    }
}

fn with(domain: &mut DomainFrame, old: &Arc<DomainFrame>) {
    one(&mut domain.reading.identity, &old.reading.identity);
    one(&mut domain.devices, &old.devices);
    one(&mut domain.timeline, &old.timeline);
    let Some(last) = &mut domain.last else { return };
    // The last numbers are the old frame's own, or those that it had.
    let is_it = |known: &&Arc<DomainFrame>| {
        known.last.is_none() && known.fresh == last.fresh && known.reading.mono == last.reading.mono
    };
    if let Some(known) = [Some(old), old.last.as_ref()].into_iter().flatten().find(is_it) {
        *last = Arc::clone(known);
    } else if let Some(last) = Arc::get_mut(last) {
        one(&mut last.reading.identity, &domain.reading.identity);
        one(&mut last.devices, &domain.devices);
        one(&mut last.timeline, &domain.timeline);
    }
}

fn one<T: PartialEq + ?Sized>(new: &mut Arc<T>, old: &Arc<T>) {
    if **new == **old {
        *new = Arc::clone(old);
    }
}
