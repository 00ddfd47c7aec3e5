//! A fixed number of things, each used by one thread at a time.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, PoisonError};

/// A pool; whoever finds it empty waits.
pub struct Pool<T> {
    idle: Mutex<Vec<T>>,
    returned: Condvar,
    size: usize,
}

/// A thing on loan; goes back when dropped.
pub struct Loan<'a, T> {
    thing: Option<T>,
    pool: &'a Pool<T>,
}

impl<T> Pool<T> {
    pub fn new(things: Vec<T>) -> Self {
        Pool { size: things.len(), idle: Mutex::new(things), returned: Condvar::new() }
    }

    /// How many things there are in all.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn take(&self) -> Loan<'_, T> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(thing) = idle.pop() {
                return Loan { thing: Some(thing), pool: self };
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Deref for Loan<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.thing.as_ref().expect("a loan holds its thing until it is dropped") // invariant: see `drop`
    }
}

impl<T> DerefMut for Loan<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.thing.as_mut().expect("a loan holds its thing until it is dropped") // invariant: see `drop`
    }
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        if let Some(thing) = self.thing.take() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(thing);
            self.pool.returned.notify_one();
        }
    }
}
