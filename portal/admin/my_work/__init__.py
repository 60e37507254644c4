"""`/admin/my-work`: what the person who is signed in has to do, on a telephone first."""
