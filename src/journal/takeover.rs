//! What a file that is opened learns of others, and of itself: the figures of
//! files that are lost, each counted once.

use super::{
    Account, Error, Journal,
    mark::{FileId, Mark},
};

impl Journal {
    /// Compares a file that was just opened with what is remembered of it:
    /// a lost write-ahead log is taken back silently, and what was in it is
    /// counted here.
    pub(super) fn compare(&mut self, mark: Option<&Mark>) -> Result<(), Error> {
        let Some(mark) = mark.filter(|mark| mark.id == self.id) else { return Ok(()) };
        let lost = mark.lost_since(&self.account());
        if !lost.is_empty() {
            // The file may also be a mixture of old pages and new ones.
            let sound: String = self
                .db
                .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
                .map_err(self.failed("checking"))?;
            if sound != "ok" {
                return Err(Error::Inconsistent { path: self.path.clone(), found: sound });
            }
            self.unsaved.delta.add(&lost);
            self.unsaved.moved = true;
        }
        Ok(())
    }

    /// Counts in this file what was in others: `carried`, and what is
    /// remembered of one that is gone.
    pub(super) fn take_over(&mut self, mark: Option<&Mark>, carried: &mut Account) -> Result<(), Error> {
        if let Some(mark) = mark
            && mark.id != self.id
            && !self.account.files.contains(&mark.id)
        {
            carried.add_lost(Some(mark.id), &mark.account);
        }
        let mut account = self.account();
        if carried.files.contains(&self.id) {
            account = carried.returned(self.id, self.totals.waiting);
        } else {
            account.add(carried);
        }
        if account == self.account && !self.unsaved.moved {
            return Ok(());
        }
        self.commit("taking over figures", account, self.totals, |_| Ok(()))
    }
}

/// Adds the figures of the file that stood in the record's place, as it was
/// found (`id`, `account`) and as it is remembered.
pub(super) fn add_lost(carried: &mut Account, id: Option<FileId>, account: &Account, mark: Option<&Mark>) {
    let Some(mark) = mark else { return carried.add_lost(id, account) };
    if id == Some(mark.id) || id.is_none() {
        // The same file, read in part at most.
        let known = if account.emitted > mark.account.emitted { account } else { &mark.account };
        return carried.add_lost(Some(mark.id), known);
    }
    // Another one; the figures of one may be in the other's.
    if id.is_some_and(|id| mark.account.files.contains(&id)) {
        carried.add_lost(Some(mark.id), &mark.account);
        carried.add_lost(id, account);
    } else {
        carried.add_lost(id, account);
        carried.add_lost(Some(mark.id), &mark.account);
    }
}
