"""The API of AWS DMS, spoken to clients that were written for AWS.

    request   app       HTTP: the API, probes and our own routes
              bodies    how much of a request is read, for how long
              dispatch  one request through the stations below, to one answer
              callers   who it is from
              sigv4     whose signature it has (signs too, for our own client)
              keys      access keys and bearer tokens, and the role of each
              throttle  how often each of them may call
              wire      AWS's model of the service, as our own small shapes
              reading   JSON of a request -> checked values, by an input shape
              call      what an operation is given, and how one is declared
              writing   an operation's answer -> JSON, by an output shape
    endpoints endpoint_members  what requests say of one, put together, shown
              endpoint_rules    what one may be
              endpoint_users    who reads from it or writes to it
              encryption_keys   what it is sealed under
              pem       certificates that it trusts
    words     faults    every error an answer can carry, by AWS's name
              arn       resource names, made and taken apart
              identifiers, filters, paging      the rules that operations share
    edge      serving   uvicorn, with the limits of `engine.config.limits`
              audit     one line for each call that may change something

Facts about AWS come from its published model and user guide, and from what its other services of
the same protocol were seen to answer where DMS's own behaviour is not published.
"""
