"""placeholder"""


def check(request):
    pass
