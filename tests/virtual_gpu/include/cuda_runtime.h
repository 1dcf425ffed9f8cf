// nvcc includes this in every file by itself; nothing is left for it to say.
#pragma once
