//! Flow control (RFC 9113, section 5.2): what either side may still send.

use super::frame::{NUMBER_MAX, Reason};

/// What every window holds if nothing else was said.
pub const WINDOW_BYTES: u32 = 65_535;

/// Bytes that may be sent. Less than nothing after the peer has made all windows smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendWindow(i64);

impl SendWindow {
    pub fn new(bytes: u32) -> SendWindow {
        SendWindow(bytes.into())
    }

    /// Widens it, or narrows it by less than nothing.
    ///
    /// # Errors
    ///
    /// If it would hold more than a window may.
    pub fn change(&mut self, by: i64) -> Result<(), Reason> {
        self.0 += by;
        if self.0 <= NUMBER_MAX.into() { Ok(()) } else { Err(Reason::FlowControl) }
    }

    #[inline]
    pub fn take(&mut self, bytes: usize) {
        self.0 -= bytes as i64;
    }

    /// Bytes that may be sent now.
    #[inline]
    pub fn room(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }
}

/// What the peer may send on the whole connection, and what it has yet to be told it may.
#[derive(Debug)]
pub struct ReceiveWindow {
    room: usize,
    /// Taken and done with, and not yet said.
    credit: usize,
    /// The peer is told when this much has gathered, so that few frames say so.
    step: usize,
}

impl ReceiveWindow {
    pub fn new(bytes: u32) -> ReceiveWindow {
        let bytes = bytes as usize;
        ReceiveWindow { room: bytes, credit: 0, step: bytes / 2 }
    }

    /// # Errors
    ///
    /// If the peer was not allowed so much.
    #[inline]
    pub fn take(&mut self, bytes: usize) -> Result<(), Reason> {
        self.room = self.room.checked_sub(bytes).ok_or(Reason::FlowControl)?;
        Ok(())
    }

    /// So many bytes need no memory any more. Returns by how much the peer's window is to grow.
    #[inline]
    pub fn give_back(&mut self, bytes: usize) -> Option<u32> {
        self.credit += bytes;
        if self.credit < self.step {
            return None;
        }
        let credit = std::mem::take(&mut self.credit);
        self.room += credit;
        // It is never more than the whole window, which is 32 bits.
        Some(credit as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_be_narrowed_below_nothing_and_not_widened_without_end() {
        let mut window = SendWindow::new(10);
        window.take(8);
        assert_eq!(window.room(), 2);
        assert_eq!(window.change(-5), Ok(()));
        assert_eq!(window.room(), 0);
        assert_eq!(window.change(4), Ok(()));
        assert_eq!(window.room(), 1);
        assert_eq!(window.change(NUMBER_MAX.into()), Err(Reason::FlowControl));
    }

    #[test]
    fn what_was_taken_comes_back_in_steps() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.take(60), Ok(()));
        assert_eq!(window.give_back(49), None);
        assert_eq!(window.give_back(11), Some(60));
        assert_eq!(window.take(100), Ok(()));
        assert_eq!(window.take(1), Err(Reason::FlowControl));
    }
}
