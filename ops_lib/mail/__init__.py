"""Email from the CRM: written from a template or by hand, sent once as the user, and put on record.

`templates` fills in, `formatting` looks at formatted bodies, `addresses` at addresses and lines of a header, `compose` puts a message together
and says what is wrong with it before anything is sent. `outgoing` keeps what is under way, `send` sends it. How, and why never
twice: `docs/email.md`.
"""
