"""A local mail inbox: takes every mail over SMTP, delivers none, and shows them all.

    python -m local.mail_inbox --smtp-port 1025 --port 8025 --folder .local/mail

GET /api/messages[?skip=…&wait_s=…]: {"messages": […]}, newest first, without bodies; without the
`skip` oldest, and where there is no other, waiting that long for one.
GET /api/messages/{id}: one message with headers, text and HTML parts.
DELETE /api/messages: empties the inbox.
POST /api/faults: mails are refused from now on. DELETE /api/faults: no more.
GET / and /messages/{id}[/html|/raw]: pages for people.
GET /healthz: {}.
"""
