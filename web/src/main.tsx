import { render } from 'preact';
import { start, watchAddress } from './state';
import { App } from './ui/app';

const place = document.getElementById('app');
if (place !== null) render(<App />, place);
watchAddress();
void start();
