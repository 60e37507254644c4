"""The mail catcher: an SMTP server that delivers nothing, and a page that shows what it was given."""
def run(folder,host,web,smtp):
    import time
    while True: time.sleep(10)
