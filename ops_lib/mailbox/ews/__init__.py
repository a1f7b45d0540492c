"""The mailbox over Exchange Web Services.

    mailbox.py    EwsMailbox: the contract of `ops_lib.mailbox`, in requests
    transport.py  one POST through exchangelib's sessions: sign-in, impersonation, TLS, what went wrong on the way
    oauth.py      tokens from MSAL, fed to exchangelib
    requests.py   what is asked, as XML          answers.py   what was answered, read leniently          items.py   one item of an answer
    failures.py   response codes, HTTP statuses and exceptions → the error tree, with the reason and the mend

Nothing is imported here: exchangelib takes most of a second.
"""
