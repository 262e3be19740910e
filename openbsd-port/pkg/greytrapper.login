greytrapper:\
	:openfiles-cur=4096:\
	:openfiles-max=4096:\
	:tc=daemon:
