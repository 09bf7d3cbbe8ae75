import { render } from 'preact';
import { start } from './state';
import { App } from './ui/app';

const place = document.getElementById('app');
if (place !== null) render(<App />, place);
void start();
